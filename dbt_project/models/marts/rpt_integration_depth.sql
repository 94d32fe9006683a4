with gates as (
    select * from {{ ref('rpt_depth_gates') }}
),

legs as (
    select * from {{ ref('dim_legs') }}
),

cases as (
    select * from {{ ref('fct_cases') }}
    where is_mature and is_claimed
),

case_legs as (
    select * from {{ ref('fct_case_legs') }}
),

levels as (
    select * from {{ ref('depth_levels') }}
),

observed as (
    select
        case_legs.business_line,
        case_legs.loop,
        case_legs.leg,
        sum(case when case_legs.truth in ('pending', 'unverifiable') then 1 else 0 end)
            as unknown_count,
        percentile_disc(0.5) within group (
            order by
                case when case_legs.truth in ('verified', 'late') then case_legs.lag_seconds end
        ) as latency_p50_seconds,
        percentile_disc(0.95) within group (
            order by
                case when case_legs.truth in ('verified', 'late') then case_legs.lag_seconds end
        ) as latency_p95_seconds
    from case_legs
    inner join cases on case_legs.case_id = cases.case_id
    group by case_legs.business_line, case_legs.loop, case_legs.leg
),

-- One column per gate; null where the gate does not apply to the leg.
spread as (
    select
        business_line,
        loop,
        leg,
        max(case when gate = 'record_exists' then trials_count end) as cases_count,
        {%- for gate, name in [
            ('record_exists', 'exists'),
            ('made_by_interface', 'interface'),
            ('key_carried', 'key_carried'),
            ('amount_and_state_agree', 'agreeing'),
            ('reflowed', 'reflowed'),
        ] %}
            max(case when gate = '{{ gate }}' then successes_count end) as {{ name }}_count,
            max(case when gate = '{{ gate }}' then rate end) as {{ name }}_rate,
            max(case when gate = '{{ gate }}' then lower_limit end) as {{ name }}_rate_low,
        {%- endfor %}
        max(case when gate = 'in_time' then rate end) as in_time_rate,
        max(case when gate = 'not_duplicated' then 1 - rate end) as duplicates_rate,
        max(case when gate = 'healed_within_24h' then rate end) as healed_within_24h_rate,
        max(case when gate = 'resolved_within_sla' then rate end) as resolved_within_sla_rate,
        coalesce(min(case when status <> 'proven' then level end) - 1, 4) as level_proven,
        -- A gate that the observed rate meets does not lower the level for want of cases.
        coalesce(
            min(
                case
                    when status = 'not met' or (status = 'not yet provable' and rate is null)
                        then level
                end
            ) - 1,
            4
        ) as level
    from gates
    group by business_line, loop, leg
),

-- What stops the first level that is not proven: a gate that is not met before one that wants
-- cases, and of these the one that wants most.
ranked as (
    select
        gates.*,
        row_number() over (
            partition by gates.business_line, gates.loop, gates.leg
            order by
                gates.level asc,
                case when gates.status = 'not met' then 0 else 1 end asc,
                gates.cases_needed desc nulls first,
                gates.gate_rank asc
        ) as blocking_rank
    from gates
    where gates.status <> 'proven'
),

blocking as (
    select * from ranked
    where blocking_rank = 1
),

joined as (
    select
        legs.business_line,
        legs.loop,
        legs.leg,
        legs.leg_rank,
        legs.is_mandatory,
        spread.cases_count,
        cast(coalesce(observed.unknown_count, 0) as bigint) as unknown_count,
        spread.exists_count,
        spread.exists_rate,
        spread.exists_rate_low,
        spread.interface_count,
        spread.interface_rate,
        spread.interface_rate_low,
        spread.key_carried_count,
        spread.key_carried_rate,
        spread.key_carried_rate_low,
        spread.agreeing_count,
        spread.agreeing_rate,
        spread.agreeing_rate_low,
        spread.reflowed_count,
        spread.reflowed_rate,
        spread.reflowed_rate_low,
        observed.latency_p50_seconds,
        observed.latency_p95_seconds,
        legs.sla_seconds,
        spread.in_time_rate,
        spread.duplicates_rate,
        spread.healed_within_24h_rate,
        spread.resolved_within_sla_rate,
        cast(spread.level as integer) as level,
        cast(spread.level_proven as integer) as level_proven,
        levels.name_zh as level_name_zh,
        levels.name_en as level_name_en,
        coalesce(blocking.status, 'proven') as status,
        cast(blocking.level as integer) as next_level,
        blocking.gate as blocking_gate,
        blocking.rate as blocking_rate,
        blocking.lower_limit as blocking_rate_low,
        blocking.bar as blocking_bar,
        blocking.cases_needed,
        blocking.cases_still_needed,
        legs.as_of
    from legs
    inner join spread
        on
            legs.business_line = spread.business_line
            and legs.loop = spread.loop
            and legs.leg = spread.leg
    inner join levels on spread.level = levels.level
    left join observed
        on
            legs.business_line = observed.business_line
            and legs.loop = observed.loop
            and legs.leg = observed.leg
    left join blocking
        on
            legs.business_line = blocking.business_line
            and legs.loop = blocking.loop
            and legs.leg = blocking.leg
)

select * from joined
