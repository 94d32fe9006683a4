{{ config(materialized='table') }}

with {{ landed('mp_portrait', key=['ref_date', 'until_date', 'visitors', 'attribute', 'name']) }},

renamed as (
    select
        ref_date as first_day,
        until_date as last_day,
        visitors,
        attribute,
        id as attribute_id,
        name,
        value as visitors_count,
        source_ref
    from landed
)

select * from renamed
