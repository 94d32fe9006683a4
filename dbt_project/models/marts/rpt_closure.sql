{%- set counts = [
    'cases_count', 'mature_cases_count', 'mature_claimed_count', 'closed_count',
    'closed_untouched_count', 'mature_claimed_fen', 'closed_fen', 'closed_untouched_fen',
    'hand_offs_count', 'broken_hand_offs_count', 'changes_count', 'changes_shown_count',
    'checkouts_count', 'interrupted_count', 'user_cancel_count', 'technical_count',
    'backend_late_count', 'unknown_count',
] -%}

with days as (
    select * from {{ ref('rpt_closure_daily') }}
),

legs as (
    select * from {{ ref('dim_legs') }}
),

bottlenecks as (
    select * from {{ ref('rpt_closure_legs') }}
    where is_bottleneck
),

trends as (
    select * from {{ ref('rpt_surface_trend') }}
),

lines as (
    select
        business_line,
        loop,
        min(target_closure) as target_closure,
        min(as_of) as as_of
    from legs
    group by business_line, loop
),

summed as (
    select
        business_line,
        loop,
        {%- for count in counts %}
            sum({{ count }}) as {{ count }}{% if not loop.last %},{% endif %}
        {%- endfor %}
    from days
    group by business_line, loop
),

counted as (
    select
        lines.business_line,
        lines.loop,
        {%- for count in counts %}
            cast(coalesce(summed.{{ count }}, 0) as bigint) as {{ count }},
        {%- endfor %}
        lines.target_closure,
        lines.as_of
    from lines
    left join summed on lines.business_line = summed.business_line and lines.loop = summed.loop
),

rated as (
    select
        counted.business_line,
        counted.loop,
        {%- for count in counts %}
            counted.{{ count }},
        {%- endfor %}
        {{ rate('counted.mature_cases_count', 'counted.cases_count') }} as maturity_rate,
        {{ closure_rates('counted') }},
        {{ clopper_pearson(
            'counted.closed_untouched_count', 'counted.mature_claimed_count', 'low'
        ) }} as closure_rate_untouched_low,
        {{ clopper_pearson(
            'counted.closed_untouched_count', 'counted.mature_claimed_count', 'high'
        ) }} as closure_rate_untouched_high,
        counted.target_closure,
        -- A target of 1 is one that no number of cases can prove.
        case
            when counted.target_closure < 1
                then {{ cases_needed(
                    'counted.closed_untouched_count', 'counted.mature_claimed_count',
                    'counted.target_closure'
                ) }}
        end as cases_needed,
        counted.as_of
    from counted
),

joined as (
    select
        rated.*,
        case
            when rated.closure_rate_untouched_low >= rated.target_closure then 'proven'
            when rated.closure_rate_untouched < rated.target_closure then 'not met'
            else 'not yet provable'
        end as target_status,
        rated.cases_needed - rated.mature_claimed_count as cases_still_needed,
        bottlenecks.leg as bottleneck_leg,
        bottlenecks.pass_rate as bottleneck_pass_rate,
        bottlenecks.points_gained,
        trends.is_surface_rising,
        trends.is_closure_falling,
        -- Smooth but shallow: ever more is claimed, and what is behind it gets no better or is
        -- not good enough.
        trends.is_surface_rising
        and (
            trends.is_closure_falling
            or coalesce(rated.closure_rate_untouched_low < rated.target_closure, false)
        ) as is_smooth_but_shallow
    from rated
    inner join trends on rated.business_line = trends.business_line and rated.loop = trends.loop
    left join bottlenecks
        on rated.business_line = bottlenecks.business_line and rated.loop = bottlenecks.loop
)

select * from joined
