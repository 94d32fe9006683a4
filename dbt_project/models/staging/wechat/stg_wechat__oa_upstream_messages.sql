{{ config(materialized='table') }}

with {{ landed(
    'oa_upstream_messages',
    key=['statistic', 'ref_date', 'ref_hour', 'msg_type', 'count_interval']
) }},

renamed as (
    select
        statistic,
        ref_date as first_day,
        until_date as last_day,
        ref_hour,
        msg_type as message_type,
        count_interval as count_band,
        msg_user as users_count,
        msg_count as messages_count,
        source_ref
    from landed
)

select * from renamed
