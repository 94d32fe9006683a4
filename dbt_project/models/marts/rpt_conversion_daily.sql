with sessions as (
    select * from {{ ref('fct_sessions') }}
),

checkouts as (
    select * from {{ ref('fct_checkouts') }}
),

all_cases as (
    select * from {{ ref('fct_cases') }}
),

acts as (
    select * from {{ ref('int_conversion_loops') }}
),

-- A ticket is no conversion: it is told with the closure of its own loop.
cases as (
    select all_cases.*
    from all_cases
    inner join acts
        on all_cases.business_line = acts.business_line and all_cases.loop = acts.loop
),

legs as (
    select * from {{ ref('fct_case_legs') }}
),

leg_records as (
    select * from {{ ref('leg_records') }}
),

run as (
    select * from {{ ref('int_run__as_of') }}
),

-- By which kind of identifier the CRM knows the buyer, where it does.
matched as (
    select
        case_id,
        match_tier
    from legs
    where leg = 'known' and truth in ('verified', 'late')
),

-- A case is evidenced where the bill or the back end's own record of it answers.
evidenced as (
    select distinct legs.case_id
    from legs
    left join leg_records on legs.loop = leg_records.loop and legs.leg = leg_records.leg
    where legs.has_evidence and (legs.leg = 'paid' or leg_records.leg is not null)
),

session_days as (
    select
        business_day,
        business_line,
        channel,
        count(*) as sessions_count,
        sum(case when is_mature then 1 else 0 end) as mature_sessions_count,
        sum(case when is_mature and surface_converted then 1 else 0 end) as surface_count,
        sum(case when is_mature and verified_converted then 1 else 0 end) as verified_count,
        sum(case when is_mature and is_unknown then 1 else 0 end) as unknown_count
    from sessions
    group by business_day, business_line, channel
),

checkout_days as (
    select
        business_day,
        business_line,
        channel,
        count(*) as checkouts_count,
        sum(case when interruption <> 'none' then 1 else 0 end) as interrupted_count
    from checkouts
    group by business_day, business_line, channel
),

case_days as (
    select
        cases.business_day,
        cases.business_line,
        cases.channel,
        count(*) as cases_count,
        sum(case when cases.is_mature then 1 else 0 end) as mature_cases_count,
        sum(case when cases.is_claimed then 1 else 0 end) as claimed_count,
        sum(case when evidenced.case_id is not null then 1 else 0 end) as evidenced_count,
        sum(case when cases.is_claimed and evidenced.case_id is not null then 1 else 0 end)
            as claimed_and_evidenced_count,
        sum(case when cases.is_mature and cases.is_claimed then 1 else 0 end)
            as mature_claimed_count,
        sum(case when cases.is_mature and cases.is_closed then 1 else 0 end) as closed_count,
        sum(case when cases.is_mature and cases.is_closed_untouched then 1 else 0 end)
            as closed_untouched_count,
        sum(case when cases.is_mature and cases.is_claimed then cases.amount_fen else 0 end)
            as mature_claimed_fen,
        sum(case when cases.is_mature and cases.is_closed then cases.amount_fen else 0 end)
            as closed_fen,
        {{ match_tier_shares('matched.match_tier') }}
    from cases
    left join evidenced on cases.case_id = evidenced.case_id
    left join matched on cases.case_id = matched.case_id
    group by cases.business_day, cases.business_line, cases.channel
),

cells as (
    select
        business_day,
        business_line,
        channel
    from session_days
    union
    select
        business_day,
        business_line,
        channel
    from case_days
),

counted as (
    select
        cells.business_day,
        cells.business_line,
        cells.channel,
        coalesce(session_days.sessions_count, 0) as sessions_count,
        coalesce(session_days.mature_sessions_count, 0) as mature_sessions_count,
        coalesce(session_days.surface_count, 0) as surface_count,
        coalesce(session_days.verified_count, 0) as verified_count,
        coalesce(session_days.unknown_count, 0) as unknown_count,
        coalesce(checkout_days.checkouts_count, 0) as checkouts_count,
        coalesce(checkout_days.interrupted_count, 0) as interrupted_count,
        coalesce(case_days.cases_count, 0) as cases_count,
        coalesce(case_days.mature_cases_count, 0) as mature_cases_count,
        coalesce(case_days.claimed_count, 0) as claimed_count,
        coalesce(case_days.evidenced_count, 0) as evidenced_count,
        coalesce(case_days.claimed_and_evidenced_count, 0) as claimed_and_evidenced_count,
        coalesce(case_days.mature_claimed_count, 0) as mature_claimed_count,
        coalesce(case_days.closed_count, 0) as closed_count,
        coalesce(case_days.closed_untouched_count, 0) as closed_untouched_count,
        coalesce(case_days.mature_claimed_fen, 0) as mature_claimed_fen,
        coalesce(case_days.closed_fen, 0) as closed_fen,
        case_days.unionid_share,
        case_days.openid_share,
        case_days.member_no_share,
        case_days.phone_share,
        case_days.customer_code_share
    from cells
    left join session_days
        on
            cells.business_day = session_days.business_day
            and cells.business_line = session_days.business_line
            and cells.channel = session_days.channel
    left join checkout_days
        on
            cells.business_day = checkout_days.business_day
            and cells.business_line = checkout_days.business_line
            and cells.channel = checkout_days.channel
    left join case_days
        on
            cells.business_day = case_days.business_day
            and cells.business_line = case_days.business_line
            and cells.channel = case_days.channel
),

rated as (
    select
        counted.business_day,
        counted.business_line,
        counted.channel,
        cast(counted.sessions_count as bigint) as sessions_count,
        cast(counted.mature_sessions_count as bigint) as mature_sessions_count,
        cast(counted.cases_count as bigint) as cases_count,
        cast(counted.mature_cases_count as bigint) as mature_cases_count,
        {{ rate('counted.mature_cases_count', 'counted.cases_count') }} as maturity_rate,
        cast(counted.claimed_count as bigint) as claimed_count,
        cast(counted.evidenced_count as bigint) as evidenced_count,
        cast(counted.claimed_and_evidenced_count as bigint) as claimed_and_evidenced_count,
        cast(counted.closed_count as bigint) as closed_count,
        cast(counted.closed_untouched_count as bigint) as closed_untouched_count,
        cast(counted.mature_claimed_count as bigint) as mature_claimed_count,
        {{ rate('counted.surface_count', 'counted.mature_sessions_count') }} as surface_conversion,
        {{ rate('counted.verified_count', 'counted.mature_sessions_count') }}
            as verified_conversion,
        {{ rate('counted.verified_count', 'counted.mature_sessions_count') }}
            as verified_conversion_low,
        {{ rate(
            '(counted.verified_count + counted.unknown_count)', 'counted.mature_sessions_count'
        ) }} as verified_conversion_high,
        {{ wilson('counted.verified_count', 'counted.mature_sessions_count', 'low') }}
            as verified_conversion_wilson_low,
        {{ wilson('counted.verified_count', 'counted.mature_sessions_count', 'high') }}
            as verified_conversion_wilson_high,
        {{ rate('counted.claimed_and_evidenced_count', 'counted.claimed_count') }}
            as surface_precision,
        {{ rate('counted.claimed_and_evidenced_count', 'counted.evidenced_count') }}
            as backend_recall,
        {{ rate('counted.closed_count', 'counted.mature_claimed_count') }} as closure_rate,
        {{ rate('counted.closed_untouched_count', 'counted.mature_claimed_count') }}
            as closure_rate_untouched,
        {{ rate('counted.closed_fen', 'counted.mature_claimed_fen') }} as closure_rate_money,
        {{ rate('counted.interrupted_count', 'counted.checkouts_count') }} as interruption_rate,
        counted.unionid_share,
        counted.openid_share,
        counted.member_no_share,
        counted.phone_share,
        counted.customer_code_share,
        run.as_of
    from counted
    cross join run
)

select * from rated
