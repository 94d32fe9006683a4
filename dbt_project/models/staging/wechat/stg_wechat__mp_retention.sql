{{ config(materialized='table') }}

with {{ landed('mp_retention', key=['period', 'ref_date', 'visitors', 'key']) }},

renamed as (
    select
        period,
        ref_date as first_day,
        until_date as last_day,
        visitors,
        key as periods_later,
        value as visitors_count,
        source_ref
    from landed
)

select * from renamed
