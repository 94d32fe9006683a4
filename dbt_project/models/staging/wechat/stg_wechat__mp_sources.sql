{{ config(materialized='table') }}

with {{ landed('mp_sources', key=['ref_date', 'index', 'key']) }},

renamed as (
    select
        ref_date as business_day,
        index as distribution,
        key as item_key,
        value as value_count,
        source_ref
    from landed
)

select * from renamed
