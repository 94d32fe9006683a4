with cases as (
    select * from {{ ref('int_cases') }}
),

legs as (
    select * from {{ ref('int_legs__classified') }}
),

contacts as (
    select * from {{ ref('int_case_contacts') }}
),

sessions as (
    select * from {{ ref('int_sessions') }}
),

-- The leg by which the back end records the case itself.
leg_records as (
    select
        loop,
        leg
    from {{ ref('leg_records') }}
),

run as (
    select * from {{ ref('int_run__as_of') }}
),

broken as (
    select
        case_id,
        leg,
        row_number() over (partition by case_id order by leg_rank) as broken_rank
    from legs
    where
        divergence in ('surface_only', 'backend_only')
        or (truth = 'refuted' and not is_inherited)
),

first_broken as (
    select * from broken
    where broken_rank = 1
),

-- A leg that is not owed stands in no case's way.
totals as (
    select
        legs.case_id,
        min(
            case
                when
                    legs.is_mandatory and legs.truth not in ('verified', 'late', 'not_due')
                    then 0
                else 1
            end
        ) = 1 as has_all_mandatory,
        min(case when legs.is_mandatory and not legs.is_window_passed then 0 else 1 end) = 1
            as has_all_windows_passed,
        max(
            case
                when legs.is_mandatory and legs.truth in ('pending', 'unverifiable') then 1 else 0
            end
        )
        = 1
            as has_unknown,
        max(case when legs.is_mandatory and legs.truth = 'refuted' then 1 else 0 end)
        = 1 as has_refuted,
        max(case when legs.made_by = 'human' then 1 else 0 end) = 1 as is_touched,
        cast(sum(case when legs.truth in ('verified', 'late') then 1 else 0 end) as bigint)
            as legs_verified,
        max(case when leg_records.leg is not null and legs.has_evidence then 1 else 0 end) = 1
            as is_recorded,
        max(
            case
                when
                    leg_records.leg is not null and legs.truth = 'verified'
                    and legs.made_by <> 'human' and legs.divergence = 'none'
                    then 1
                else 0
            end
        ) = 1 as is_recorded_cleanly,
        max(case when legs.leg = 'reflowed' and legs.truth = 'verified' then 1 else 0 end) = 1
            as is_reflowed
    from legs
    left join leg_records on legs.loop = leg_records.loop and legs.leg = leg_records.leg
    group by legs.case_id
),

joined as (
    select
        cases.case_id,
        cases.loop,
        cases.business_line,
        cases.channel,
        cases.entered_at,
        {{ business_day('cases.entered_at') }} as business_day,
        contacts.person_id,
        sessions.entry_scene,
        sessions.entry_group,
        cases.session_id,
        cases.amount_fen,
        cases.is_claimed,
        cases.is_abandoned,
        cases.is_backend_only,
        totals.has_all_windows_passed
        or (totals.has_all_mandatory and not cases.is_abandoned) as is_mature,
        cases.is_claimed as surface_converted,
        totals.has_all_mandatory and not cases.is_abandoned as verified_converted,
        totals.has_unknown and not totals.has_refuted and not cases.is_abandoned as is_unknown,
        totals.has_all_mandatory and cases.is_claimed as is_closed,
        totals.has_all_mandatory and cases.is_claimed and not totals.is_touched
            as is_closed_untouched,
        first_broken.leg as first_broken_leg,
        totals.legs_verified,
        case
            when not totals.is_recorded then 0
            when not totals.is_recorded_cleanly then 1
            when not totals.is_reflowed then 2
            else 3
        end as depth,
        cases.erp_order_no,
        run.as_of
    from cases
    inner join totals on cases.case_id = totals.case_id
    left join first_broken on cases.case_id = first_broken.case_id
    left join contacts on cases.case_id = contacts.case_id
    left join sessions
        on
            cases.session_id = sessions.session_id
            and cases.business_line = sessions.business_line
    cross join run
)

select * from joined
