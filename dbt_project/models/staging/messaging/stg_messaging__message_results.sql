with {{ landed('message_results', instant='status_at', newest='status_at') }},

renamed as (
    select
        message_id,
        kind,
        template_id,
        app_id,
        status,
        status_at,
        reason,
        total_count,
        filter_count,
        sent_count,
        error_count,
        business_day,
        source_ref
    from landed
)

select * from renamed
