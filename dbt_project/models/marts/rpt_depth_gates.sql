{%- set gates_of_records = {
    'made_by_interface': ['exists_count', 'interface_count'],
    'key_carried': ['exists_count', 'key_carried_count'],
    'amount_and_state_agree': ['exists_count', 'agreeing_count'],
    'in_time': ['timed_count', 'in_time_count'],
    'not_duplicated': ['exists_count', 'single_count'],
} -%}
{%- set heal_seconds = 86400 -%}

with legs as (
    select * from {{ ref('dim_legs') }}
),

cases as (
    select * from {{ ref('fct_cases') }}
    where is_mature and is_claimed
),

case_legs as (
    select * from {{ ref('fct_case_legs') }}
),

reflows as (
    select * from {{ ref('fct_reflows') }}
    where is_claimed
),

findings as (
    select * from {{ ref('fct_divergences') }}
),

gates as (
    select * from {{ ref('depth_gates') }}
),

leg_gates as (
    select * from {{ ref('leg_gates') }}
),

run as (
    select * from {{ ref('int_run__as_of') }}
),

-- What nobody can tell (pending, unverifiable) proves nothing, and what is not owed asks nothing.
judged as (
    select
        case_legs.business_line,
        case_legs.loop,
        case_legs.leg,
        case_legs.truth in ('verified', 'late') as is_found,
        case_legs.made_by,
        case_legs.divergence,
        case_legs.lag_seconds,
        legs.sla_seconds
    from case_legs
    inner join cases on case_legs.case_id = cases.case_id
    inner join legs
        on
            case_legs.business_line = legs.business_line
            and case_legs.loop = legs.loop
            and case_legs.leg = legs.leg
    where case_legs.truth in ('verified', 'late', 'refuted')
),

counted as (
    select
        business_line,
        loop,
        leg,
        count(*) as judged_count,
        sum(case when is_found then 1 else 0 end) as exists_count,
        sum(case when is_found and made_by = 'interface' then 1 else 0 end) as interface_count,
        sum(case when is_found and divergence <> 'key_lost' then 1 else 0 end)
            as key_carried_count,
        sum(
            case
                when is_found and divergence not in ('amount_mismatch', 'state_conflict')
                    then 1
                else 0
            end
        ) as agreeing_count,
        sum(case when is_found and lag_seconds is not null then 1 else 0 end) as timed_count,
        sum(case when is_found and lag_seconds <= sla_seconds then 1 else 0 end) as in_time_count,
        sum(case when is_found and divergence <> 'duplicate' then 1 else 0 end) as single_count
    from judged
    group by business_line, loop, leg
),

shown as (
    select
        business_line,
        loop,
        return_leg,
        count(*) as moves_count,
        sum(case when is_shown_in_time then 1 else 0 end) as shown_count
    from reflows
    group by business_line, loop, return_leg
),

-- A failure: the record was missing. An exception: whatever can be mended, which lateness and
-- hand-work that have happened cannot. Either is judged once it is over or its time is.
followed as (
    select
        findings.business_line,
        findings.loop,
        findings.leg,
        findings.truth = 'refuted' as is_failure,
        findings.divergence not in ('late', 'late_reflow', 'manual_rekey') as is_exception,
        findings.healed_at,
        {{ add_seconds('findings.first_seen_at', heal_seconds) }} as heal_until,
        {{ add_seconds(
            'findings.first_seen_at', 'coalesce(legs.window_seconds, ' ~ heal_seconds ~ ')'
        ) }} as resolve_until,
        run.as_of
    from findings
    inner join legs
        on
            findings.business_line = legs.business_line
            and findings.loop = legs.loop
            and findings.leg = legs.leg
    cross join run
),

governed as (
    select
        business_line,
        loop,
        leg,
        sum(case when is_failure then 1 else 0 end) as failures_count,
        sum(
            case
                when is_failure and (healed_at is not null or as_of >= heal_until) then 1 else 0
            end
        ) as judged_failures_count,
        sum(case when is_failure and healed_at <= heal_until then 1 else 0 end)
            as healed_failures_count,
        sum(case when is_exception then 1 else 0 end) as exceptions_count,
        sum(
            case
                when is_exception and (healed_at is not null or as_of >= resolve_until)
                    then 1
                else 0
            end
        ) as judged_exceptions_count,
        sum(case when is_exception and healed_at <= resolve_until then 1 else 0 end)
            as resolved_exceptions_count
    from followed
    group by business_line, loop, leg
),

measured as (
    select
        business_line,
        loop,
        leg,
        'record_exists' as gate,
        judged_count as subjects_count,
        judged_count as trials_count,
        exists_count as successes_count
    from counted
    {%- for gate, (trials, successes) in gates_of_records.items() %}
        union all
        select
            business_line,
            loop,
            leg,
            '{{ gate }}',
            exists_count,
            {{ trials }},
            {{ successes }}
        from counted
    {%- endfor %}
    union all
    select
        business_line,
        loop,
        leg,
        'healed_within_24h',
        failures_count,
        judged_failures_count,
        healed_failures_count
    from governed
    union all
    select
        business_line,
        loop,
        leg,
        'resolved_within_sla',
        exceptions_count,
        judged_exceptions_count,
        resolved_exceptions_count
    from governed
    union all
    select
        shown.business_line,
        shown.loop,
        leg_gates.leg,
        leg_gates.gate,
        shown.moves_count as subjects_count,
        shown.moves_count as trials_count,
        shown.shown_count as successes_count
    from shown
    inner join leg_gates
        on shown.loop = leg_gates.loop and shown.return_leg = leg_gates.return_leg
),

rated as (
    select
        legs.business_line,
        legs.loop,
        legs.leg,
        legs.leg_rank,
        legs.is_mandatory,
        gates.gate,
        gates.gate_rank,
        gates.level,
        gates.is_by_lower_limit,
        gates.bar,
        cast(coalesce(measured.subjects_count, 0) as bigint) as subjects_count,
        cast(coalesce(measured.trials_count, 0) as bigint) as trials_count,
        cast(coalesce(measured.successes_count, 0) as bigint) as successes_count,
        {{ rate('measured.successes_count', 'measured.trials_count') }} as rate,
        {{ clopper_pearson('measured.successes_count', 'measured.trials_count', 'low') }}
            as lower_limit,
        case
            when gates.is_by_lower_limit
                then {{ cases_needed(
                    'measured.successes_count', 'measured.trials_count', 'gates.bar'
                ) }}
        end as cases_needed,
        -- Where nothing failed there is nothing to heal.
        gates.gate in ('healed_within_24h', 'resolved_within_sla')
        and coalesce(measured.subjects_count, 0) = 0 as is_without_cause,
        run.as_of
    from legs
    inner join leg_gates on legs.loop = leg_gates.loop and legs.leg = leg_gates.leg
    inner join gates on leg_gates.gate = gates.gate
    left join measured
        on
            legs.business_line = measured.business_line
            and legs.loop = measured.loop
            and legs.leg = measured.leg
            and gates.gate = measured.gate
    cross join run
),

decided as (
    select
        business_line,
        loop,
        leg,
        leg_rank,
        is_mandatory,
        gate,
        gate_rank,
        level,
        is_by_lower_limit,
        bar,
        subjects_count,
        trials_count,
        successes_count,
        rate,
        lower_limit,
        case
            when is_without_cause then 'proven'
            when rate is null then 'not yet provable'
            when rate < bar then 'not met'
            when is_by_lower_limit and lower_limit < bar then 'not yet provable'
            else 'proven'
        end as status,
        cases_needed,
        cases_needed - trials_count as cases_still_needed,
        as_of
    from rated
)

select * from decided
