"""What is expected of tracking beside WeChat's own count of visits: that it misses none of them."""

from expectations import tolerances
from expectations.judging import Expected, Suite, one_of

TRACKED = Suite(
    table="rpt_tracking_gap",
    frame=f"""
        with latest as (
            select business_day, verdict, wechat_count, tracked_count, gap_count, definition_count
            from marts.rpt_tracking_gap
            where source_group = 'all' and verdict is distinct from 'not_comparable'
            order by business_day desc
            limit {tolerances.DAYS_OF_TRACKING_JUDGED}
        )
        select * from latest
        union all
        select null, 'not_connected', null, null, null, null
        from marts.source_watermarks
        where table_name = 'mp_daily' and not is_connected
    """,
    expected=(
        Expected(
            "wechats_openings_are_tracked",
            f"On the latest {tolerances.DAYS_OF_TRACKING_JUDGED} days that both sides know, the"
            " openings that WeChat counts are those that tracking knows, but for what the two"
            " define otherwise. Nothing is expected where WeChat's count is not connected.",
            **one_of("verdict", ("agrees", "definition", "not_connected")),
        ),
    ),
)

AGREEING = (TRACKED,)
