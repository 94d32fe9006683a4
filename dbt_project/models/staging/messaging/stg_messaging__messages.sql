with {{ landed('messages', instant='coalesce(due_at, sent_at, status_at)') }},

results as (
    select * from {{ ref('stg_messaging__message_results') }}
),

-- What was called back fills what the log does not say, and overrules what it said before.
called_back as (
    select
        landed.*,
        results.status as called_back_status,
        results.status_at as called_back_at,
        results.message_id is not null
        and (
            landed.status is null
            or landed.status_at is null
            or results.status_at > landed.status_at
        ) as is_called_back
    from landed
    left join results on landed.message_id = results.message_id and landed.kind = results.kind
),

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
        case when is_called_back then called_back_status else status end as status,
        is_called_back,
        due_at,
        sent_at,
        case when is_called_back then called_back_at else status_at end as status_at,
        business_day,
        source_ref
    from called_back
)

select * from renamed
