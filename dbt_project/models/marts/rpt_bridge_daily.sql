with movements as (
    select * from {{ ref('int_bridge_movements') }}
),

steps as (
    select * from {{ ref('bridge_steps') }}
),

run as (
    select * from {{ ref('int_run__as_of') }}
),

summed as (
    select
        business_day,
        business_line,
        channel,
        step,
        cast(sum(amount_fen) as bigint) as amount_fen,
        cast(sum(cases_count) as bigint) as cases_count
    from movements
    group by business_day, business_line, channel, step
),

cells as (
    select
        business_day,
        business_line,
        channel,
        cast(sum(case when step = 'surface_total' then amount_fen else 0 end) as bigint)
            as surface_total_fen,
        cast(sum(case when step = 'erp_total' then amount_fen else 0 end) as bigint)
            as erp_total_fen,
        cast(sum(case when step = 'surface_total' then cases_count else 0 end) as bigint)
            as surface_total_count,
        cast(sum(case when step = 'erp_total' then cases_count else 0 end) as bigint)
            as erp_total_count,
        cast(sum(case when step = 'erp_total' then -amount_fen else amount_fen end) as bigint)
            as residual_fen,
        cast(sum(case when step = 'erp_total' then -cases_count else cases_count end) as bigint)
            as residual_count
    from summed
    group by business_day, business_line, channel
),

joined as (
    select
        cells.business_day,
        cells.business_line,
        cells.channel,
        steps.step_rank,
        summed.step,
        summed.amount_fen,
        summed.cases_count,
        cells.surface_total_fen,
        cells.erp_total_fen,
        cells.residual_fen,
        cells.surface_total_count,
        cells.erp_total_count,
        cells.residual_count,
        run.as_of
    from summed
    inner join cells
        on
            summed.business_day = cells.business_day
            and summed.business_line = cells.business_line
            and summed.channel = cells.channel
    left join steps on summed.step = steps.step
    cross join run
)

select * from joined
