with watermarks as (
    select * from {{ ref('stg_company__watermarks') }}
),

batches as (
    select * from {{ source('landing', 'batches') }}
),

run as (
    select * from {{ ref('int_run__as_of') }}
),

totals as (
    select
        table_name,
        count(*) as batches_count,
        cast(sum(row_count) as bigint) as rows_count,
        cast(sum(quarantined_count) as bigint) as quarantined_count
    from batches
    group by table_name
),

joined as (
    select
        watermarks.table_name,
        watermarks.is_connected,
        watermarks.complete_from,
        watermarks.complete_until,
        coalesce(totals.batches_count, 0) as batches_count,
        coalesce(totals.rows_count, 0) as rows_count,
        coalesce(totals.quarantined_count, 0) as quarantined_count,
        run.as_of
    from watermarks
    left join totals on watermarks.table_name = totals.table_name
    cross join run
)

select * from joined
