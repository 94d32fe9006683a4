{{ config(materialized='table') }}

with {{ landed('oa_interface_days', key=['ref_date', 'ref_hour']) }},

renamed as (
    select
        ref_date as business_day,
        ref_hour,
        callback_count as calls_count,
        fail_count as failed_calls_count,
        total_time_cost as milliseconds,
        max_time_cost as slowest_milliseconds,
        source_ref
    from landed
)

select * from renamed
