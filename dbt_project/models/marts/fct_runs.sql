{{ config(materialized='incremental', incremental_strategy='append', on_schema_change='fail') }}

with version as (
    select * from {{ ref('int_run__version') }}
),

known as (
    {% if is_incremental() -%}
        select
            run_no,
            data_version
        from {{ this }}
    {%- else -%}
        select
            cast(null as bigint) as run_no,
            cast(null as varchar) as data_version
        where false
    {%- endif %}
),

ranked as (
    select
        *,
        row_number() over (order by run_no desc) as run_rank
    from known
),

latest as (
    select * from ranked
    where run_rank = 1
),

-- The same data again is the same run: nothing new can be reported.
added as (
    select
        cast(coalesce(latest.run_no, 0) + 1 as bigint) as run_no,
        version.data_version,
        cast(version.batches_count as bigint) as batches_count,
        cast(version.revised_batches_count as bigint) as revised_batches_count,
        version.as_of
    from version
    left join latest on true
    where version.data_version is distinct from latest.data_version
)

select * from added
