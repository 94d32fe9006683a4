{{ config(materialized='table') }}

with {{ landed('wechat_quota', key=['ref_date', 'app_id', 'cgi_path']) }},

renamed as (
    select
        {{ business_day('asked_at') }} as business_day,
        app_id,
        cgi_path,
        daily_limit,
        used as used_count,
        remain as remaining_count,
        call_count as rate_limit_count,
        refresh_second as rate_limit_seconds,
        asked_at,
        source_ref
    from landed
)

select * from renamed
