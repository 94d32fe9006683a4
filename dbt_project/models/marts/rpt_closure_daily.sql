with cases as (
    select * from {{ ref('fct_cases') }}
),

legs as (
    select * from {{ ref('fct_case_legs') }}
    where is_mandatory and leg <> 'submitted' and truth <> 'not_due'
),

reflows as (
    select * from {{ ref('fct_reflows') }}
),

checkouts as (
    select * from {{ ref('fct_checkouts') }}
),

chained as (
    select * from {{ ref('rpt_closure_legs_daily') }}
),

run as (
    select * from {{ ref('int_run__as_of') }}
),

case_days as (
    select
        business_day,
        business_line,
        loop,
        channel,
        count(*) as cases_count,
        sum(case when is_mature then 1 else 0 end) as mature_cases_count,
        sum(case when is_mature and is_claimed then 1 else 0 end) as mature_claimed_count,
        sum(case when is_mature and is_closed then 1 else 0 end) as closed_count,
        sum(case when is_mature and is_closed_untouched then 1 else 0 end)
            as closed_untouched_count,
        sum(case when is_mature and is_claimed then amount_fen else 0 end) as mature_claimed_fen,
        sum(case when is_mature and is_closed then amount_fen else 0 end) as closed_fen,
        sum(case when is_mature and is_closed_untouched then amount_fen else 0 end)
            as closed_untouched_fen
    from cases
    group by business_day, business_line, loop, channel
),

-- A hand-off: a mandatory leg after the claim that a mature case owes.
hand_off_days as (
    select
        cases.business_day,
        cases.business_line,
        cases.loop,
        cases.channel,
        count(*) as hand_offs_count,
        sum(case when legs.truth = 'refuted' then 1 else 0 end) as broken_hand_offs_count
    from legs
    inner join cases on legs.case_id = cases.case_id
    where cases.is_mature
    group by cases.business_day, cases.business_line, cases.loop, cases.channel
),

reflow_days as (
    select
        business_day,
        business_line,
        loop,
        channel,
        count(*) as changes_count,
        sum(case when is_shown_in_time then 1 else 0 end) as changes_shown_count
    from reflows
    group by business_day, business_line, loop, channel
),

checkout_days as (
    select
        business_day,
        business_line,
        loop,
        channel,
        count(*) as checkouts_count,
        sum(case when interruption <> 'none' then 1 else 0 end) as interrupted_count,
        sum(case when interruption = 'user_cancel' then 1 else 0 end) as user_cancel_count,
        sum(case when interruption = 'technical' then 1 else 0 end) as technical_count,
        sum(case when interruption = 'backend_late' then 1 else 0 end) as backend_late_count,
        sum(case when interruption = 'unknown' then 1 else 0 end) as unknown_count
    from checkouts
    group by business_day, business_line, loop, channel
),

{{ bottleneck('chained', ['business_day', 'business_line', 'loop', 'channel']) }},

bottlenecks as (
    select * from bottleneck_rated
    where is_bottleneck
),

cells as (
    select
        business_day,
        business_line,
        loop,
        channel
    from case_days
    union
    select
        business_day,
        business_line,
        loop,
        channel
    from checkout_days
),

counted as (
    select
        cells.business_day,
        cells.business_line,
        cells.loop,
        cells.channel,
        {%- for table, counts in {
            'case_days': [
                'cases_count', 'mature_cases_count', 'mature_claimed_count', 'closed_count',
                'closed_untouched_count', 'mature_claimed_fen', 'closed_fen',
                'closed_untouched_fen',
            ],
            'hand_off_days': ['hand_offs_count', 'broken_hand_offs_count'],
            'reflow_days': ['changes_count', 'changes_shown_count'],
            'checkout_days': [
                'checkouts_count', 'interrupted_count', 'user_cancel_count', 'technical_count',
                'backend_late_count', 'unknown_count',
            ],
        }.items() %}
            {%- for count in counts %}
                cast(coalesce({{ table }}.{{ count }}, 0) as bigint) as {{ count }},
            {%- endfor %}
        {%- endfor %}
        bottlenecks.leg as bottleneck_leg,
        bottlenecks.pass_rate as bottleneck_pass_rate,
        bottlenecks.points_gained
    from
        cells
    {%- for table in [
        'case_days', 'hand_off_days', 'reflow_days', 'checkout_days', 'bottlenecks'
    ] %}
    left join {{ table }}
        on
            cells.business_day = {{ table }}.business_day
            and cells.business_line = {{ table }}.business_line
            and cells.loop = {{ table }}.loop
            and cells.channel = {{ table }}.channel
    {%- endfor %}
),

rated as (
    select
        counted.*,
        {{ rate('counted.mature_cases_count', 'counted.cases_count') }} as maturity_rate,
        {{ closure_rates('counted') }},
        run.as_of
    from counted
    cross join run
)

select * from rated
