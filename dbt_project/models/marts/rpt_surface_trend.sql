{%- set false_discovery_rate = 0.05 -%}

with sessions as (
    select * from {{ ref('fct_sessions') }}
),

cases as (
    select * from {{ ref('fct_cases') }}
),

legs as (
    select * from {{ ref('dim_legs') }}
),

run as (
    select * from {{ ref('int_run__as_of') }}
),

lines as (
    select distinct
        business_line,
        loop
    from legs
),

-- Who entered, and whether the front end claims the act of the loop to them.
entrants as (
    select
        lines.business_line,
        lines.loop,
        sessions.business_day,
        sessions.session_id,
        sessions.is_mature,
        max(case when cases.is_claimed then 1 else 0 end) as is_converted
    from sessions
    inner join lines on sessions.business_line = lines.business_line
    left join cases
        on
            sessions.session_id = cases.session_id
            and sessions.business_line = cases.business_line
            and lines.loop = cases.loop
    group by
        lines.business_line, lines.loop, sessions.business_day, sessions.session_id,
        sessions.is_mature
),

entrant_days as (
    select
        business_line,
        loop,
        business_day,
        min(case when is_mature then 1 else 0 end) as is_mature,
        count(*) as entrants_count,
        sum(is_converted) as converted_count
    from entrants
    group by business_line, loop, business_day
),

case_days as (
    select
        business_line,
        loop,
        business_day,
        min(case when is_mature then 1 else 0 end) as is_mature,
        sum(case when is_claimed then 1 else 0 end) as claimed_count,
        sum(case when is_closed_untouched then 1 else 0 end) as closed_untouched_count
    from cases
    group by business_line, loop, business_day
),

-- Only days of which everything is known: of the others, what went well is known first.
mature_days as (
    select
        entrant_days.business_line,
        entrant_days.loop,
        entrant_days.business_day,
        entrant_days.entrants_count,
        entrant_days.converted_count,
        coalesce(case_days.claimed_count, 0) as claimed_count,
        coalesce(case_days.closed_untouched_count, 0) as closed_untouched_count,
        row_number() over (
            partition by entrant_days.business_line, entrant_days.loop
            order by entrant_days.business_day
        ) as day_rank,
        count(*) over (partition by entrant_days.business_line, entrant_days.loop) as days_count
    from entrant_days
    left join case_days
        on
            entrant_days.business_line = case_days.business_line
            and entrant_days.loop = case_days.loop
            and entrant_days.business_day = case_days.business_day
    where entrant_days.is_mature = 1 and coalesce(case_days.is_mature, 1) = 1
),

-- The middle one of an odd number of days belongs to the later half.
halves as (
    select
        business_line,
        loop,
        count(*) as mature_days_count,
        {%- for half, sign in [('earlier', '<='), ('later', '>')] %}
            {%- set is_half = 'day_rank * 2 ' ~ sign ~ ' days_count' %}
            sum(case when {{ is_half }} then entrants_count else 0 end)
                as {{ half }}_entrants_count,
            sum(case when {{ is_half }} then converted_count else 0 end)
                as {{ half }}_converted_count,
            sum(case when {{ is_half }} then claimed_count else 0 end) as {{ half }}_claimed_count,
            sum(case when {{ is_half }} then closed_untouched_count else 0 end)
                as {{ half }}_closed_untouched_count
            {%- if not loop.last %},{% endif %}
        {%- endfor %}
    from mature_days
    group by business_line, loop
),

compared as (
    select
        lines.business_line,
        lines.loop,
        {%- for count in [
            'mature_days_count', 'earlier_entrants_count', 'earlier_converted_count',
            'later_entrants_count', 'later_converted_count', 'earlier_claimed_count',
            'earlier_closed_untouched_count', 'later_claimed_count',
            'later_closed_untouched_count',
        ] %}
            cast(coalesce(halves.{{ count }}, 0) as bigint) as {{ count }},
        {%- endfor %}
        {{ rate('halves.earlier_converted_count', 'halves.earlier_entrants_count') }}
            as earlier_surface_conversion,
        {{ rate('halves.later_converted_count', 'halves.later_entrants_count') }}
            as later_surface_conversion,
        {{ chance_of_rise(
            'halves.earlier_converted_count', 'halves.earlier_entrants_count',
            'halves.later_converted_count', 'halves.later_entrants_count'
        ) }} as chance_of_rise,
        {{ clopper_pearson(
            'halves.earlier_closed_untouched_count', 'halves.earlier_claimed_count', 'low'
        ) }} as earlier_closure_low,
        {{ clopper_pearson(
            'halves.later_closed_untouched_count', 'halves.later_claimed_count', 'low'
        ) }} as later_closure_low,
        run.as_of
    from lines
    left join halves on lines.business_line = halves.business_line and lines.loop = halves.loop
    cross join run
),

adjusted as (
    select
        *,
        {{ adjusted_for_many('chance_of_rise') }} as adjusted_chance
    from compared
),

decided as (
    select
        business_line,
        loop,
        mature_days_count,
        earlier_entrants_count,
        earlier_converted_count,
        later_entrants_count,
        later_converted_count,
        earlier_surface_conversion,
        later_surface_conversion,
        chance_of_rise,
        adjusted_chance,
        coalesce(adjusted_chance <= {{ false_discovery_rate }}, false) as is_surface_rising,
        earlier_claimed_count,
        earlier_closed_untouched_count,
        later_claimed_count,
        later_closed_untouched_count,
        earlier_closure_low,
        later_closure_low,
        coalesce(later_closure_low < earlier_closure_low, false) as is_closure_falling,
        as_of
    from adjusted
)

select * from decided
