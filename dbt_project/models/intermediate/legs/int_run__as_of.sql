with watermarks as (
    select * from {{ ref('stg_company__watermarks') }}
),

needed as (
    select distinct table_name from {{ ref('leg_sources') }}
),

least_watermark as (
    select min(watermarks.complete_until) as as_of
    from watermarks
    inner join needed on watermarks.table_name = needed.table_name
    where watermarks.is_connected
)

select * from least_watermark
