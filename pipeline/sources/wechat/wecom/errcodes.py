"""The error codes of qyapi.weixin.qq.com that customer contact meets, and what to do about each."""

from pipeline.sources.wechat.errcodes import REPORT, WAIT, Errcode

COMPARE_APP = (
    "compare corp_id and the variable of corp_secret_env with the WeCom console: 我的企业, and the"
    " secret of the self-built app"
)
ALLOW_APP = (
    "an administrator adds the app under 客户联系, 可调用接口的应用, and the members to its"
    " visible range"
)

WECOM_ERRCODES: dict[int, Errcode] = {
    -1: Errcode("the platform is busy", "busy", WAIT),
    40001: Errcode("wrong secret", next_step=COMPARE_APP),
    40013: Errcode("wrong corp_id", next_step=COMPARE_APP),
    40014: Errcode("the access token is unknown", "renew token", COMPARE_APP),
    40058: Errcode("parameter refused", next_step=REPORT),
    41001: Errcode("access_token missing", next_step=REPORT),
    41004: Errcode("secret missing", next_step=COMPARE_APP),
    42001: Errcode("the access token has expired", "renew token", WAIT),
    45009: Errcode("too many calls", "wait a minute", WAIT),
    48002: Errcode("the app may not make this call", next_step=ALLOW_APP),
    60011: Errcode("the app may not see this member", next_step=ALLOW_APP),
    60020: Errcode(
        "this machine's address is not trusted",
        next_step="add the address above to the app's 企业可信IP in the WeCom console",
    ),
    84074: Errcode("the app may not see external contacts", next_step=ALLOW_APP),
}
# A member who has added nobody yet.
NO_CUSTOMER = 84061
