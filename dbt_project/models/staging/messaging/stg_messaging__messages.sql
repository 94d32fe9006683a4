with {{ landed('messages', instant='coalesce(due_at, sent_at, status_at)') }},

renamed as (
    select
        message_id,
        kind,
        template_id,
        openid,
        unionid,
        business_line,
        case_no,
        node,
        status,
        due_at,
        sent_at,
        status_at,
        business_day,
        source_ref
    from landed
)

select * from renamed
