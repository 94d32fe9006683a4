with batches as (
    select * from {{ ref('stg_company__batches') }}
),

contracts as (
    select * from {{ ref('stg_company__loop_legs') }}
),

run as (
    select * from {{ ref('int_run__as_of') }}
),

landed as (
    select
        md5(
            string_agg(
                table_name || '/' || cast(business_day as varchar) || '/' || batch_id || '/'
                || cast(complete_until as varchar),
                ';' order by table_name, business_day
            )
        ) as landed_digest,
        count(*) as batches_count,
        sum(case when revises is not null then 1 else 0 end) as revised_batches_count
    from batches
),

agreed as (
    select
        md5(
            string_agg(
                coalesce(business_line, '') || '/' || loop || '/' || leg || '/'
                || cast(is_mandatory as varchar) || '/'
                || coalesce(cast(window_seconds as varchar), '') || '/'
                || coalesce(cast(late_after_seconds as varchar), '') || '/'
                || cast(tolerance_fen as varchar),
                ';' order by business_line, loop, leg_rank, leg
            )
        ) as agreed_digest
    from contracts
),

joined as (
    select
        md5(coalesce(landed.landed_digest, '') || coalesce(agreed.agreed_digest, ''))
            as data_version,
        landed.batches_count,
        coalesce(landed.revised_batches_count, 0) as revised_batches_count,
        run.as_of
    from landed
    cross join agreed
    cross join run
)

select * from joined
