with contracts as (
    select * from {{ ref('stg_company__loop_legs') }}
),

cases as (
    select * from {{ ref('fct_cases') }}
),

run as (
    select * from {{ ref('int_run__as_of') }}
),

own_contracts as (
    select distinct
        business_line,
        loop
    from contracts
    where business_line is not null
),

-- A line has the loops that it has contracts for, and those that it has cases of.
lines as (
    select
        business_line,
        loop
    from own_contracts
    union
    select
        business_line,
        loop
    from cases
),

-- A loop of a line without a contract of its own takes the default one.
joined as (
    select
        lines.business_line,
        lines.loop,
        contracts.leg,
        contracts.leg_rank,
        contracts.is_mandatory,
        contracts.window_seconds,
        coalesce(contracts.late_after_seconds, contracts.window_seconds) as sla_seconds,
        contracts.target_closure,
        contracts.owner,
        run.as_of
    from lines
    left join own_contracts
        on
            lines.business_line = own_contracts.business_line
            and lines.loop = own_contracts.loop
    inner join contracts
        on
            lines.loop = contracts.loop
            and own_contracts.business_line is not distinct from contracts.business_line
    cross join run
)

select * from joined
