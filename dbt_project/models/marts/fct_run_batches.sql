{{ config(materialized='incremental', incremental_strategy='append', on_schema_change='fail') }}

with batches as (
    select * from {{ ref('stg_company__batches') }}
),

run as (
    select max(run_no) as run_no from {{ ref('fct_runs') }}
),

known as (
    {% if is_incremental() -%}
        select
            table_name,
            business_day,
            batch_id
        from {{ this }}
    {%- else -%}
        select
            cast(null as varchar) as table_name,
            cast(null as date) as business_day,
            cast(null as varchar) as batch_id
        where false
    {%- endif %}
),

added as (
    select
        batches.table_name,
        batches.business_day,
        batches.batch_id,
        batches.revises,
        cast(batches.rows_count as bigint) as rows_count,
        run.run_no as first_run
    from batches
    cross join run
    left join known
        on
            batches.table_name = known.table_name
            and batches.business_day = known.business_day
            and batches.batch_id = known.batch_id
    where known.batch_id is null
)

select * from added
