{{ config(
    materialized='incremental',
    incremental_strategy='rejudged',
    incremental_predicates=[
        'case_no in (select number from intermediate.int_dirty_numbers__known)'
    ]
) }}

with legs as (
    select * from {{ ref('int_legs__anchored') }}
    where {{ in_question('case_no', 'int_dirty_numbers__known') }}
),

-- The same with what a leg's truth hangs on alone, and not all that is carried along: of a CTE that
-- is named twice DuckDB keeps every row and column (2026-11).
dated as (
    select
        case_id,
        loop,
        leg,
        has_evidence,
        is_late,
        is_connected,
        is_anchor_unknown,
        judged_at,
        due_at,
        window_ends_at
    from {{ ref('int_legs__anchored') }}
    where {{ in_question('case_no', 'int_dirty_numbers__known') }}
),

cases as (
    select * from {{ ref('int_cases') }}
    where {{ in_question('case_no', 'int_dirty_numbers__known') }}
),

orders as (
    select * from {{ ref('int_order_cases') }}
    where {{ in_question('case_no', 'int_dirty_numbers__known') }}
),

contacts as (
    select * from {{ ref('int_case_contacts') }}
),

shipments as (
    select * from {{ ref('int_order_shipments') }}
),

refunds as (
    select * from {{ ref('int_order_refunds') }}
),

receipts as (
    select * from {{ ref('int_order_receipts') }}
),

open_matches as (
    select * from {{ ref('int_order_matches') }}
    where not is_settled
),

orphans as (
    select * from {{ ref('int_order_orphans') }}
),

messages as (
    select * from {{ ref('stg_messaging__messages') }}
    where
        coalesce(node, '') <> 'marketing' and status = 'success' and case_no is not null
        and {{ in_question('case_no', 'int_dirty_numbers__known') }}
),

ancestors as (
    select * from {{ ref('leg_ancestors') }}
),

watermarks as (
    select * from {{ ref('stg_company__watermarks') }}
),

-- What ended the order before a parcel left. Once one has left, it is judged.
order_ends as (
    select
        orders.case_id,
        shipments.case_no is null
        and (
            orders.erp_state is not distinct from 'cancelled'
            or coalesce(refunds.bill_refund_fen >= orders.paid_amount_fen, false)
            or coalesce(
                refunds.erp_refund_fen
                >= coalesce(orders.booked_amount_fen, orders.paid_amount_fen),
                false
            )
        ) as is_ended
    from orders
    left join shipments on orders.case_no = shipments.case_no
    left join refunds on orders.case_id = refunds.case_id
),

ends as (
    select
        cases.case_id,
        coalesce(order_ends.is_ended, cases.is_cancelled) as is_ended
    from cases
    left join order_ends on cases.case_id = order_ends.case_id
),

-- A message that bears the number of a booking or a ticket is a record of it.
told as (
    select distinct dated.case_id
    from dated
    inner join cases on dated.case_id = cases.case_id
    inner join messages on cases.case_no = messages.case_no
    where
        dated.leg in ('confirmed', 'ticketed')
        and coalesce(messages.sent_at, messages.status_at, messages.due_at) < dated.window_ends_at
),

-- Until that is known, nobody can say whether the front end stands alone.
telling as (
    select complete_until as told_until from watermarks
    where table_name = 'messages' and is_connected
),

own as (
    select
        dated.case_id,
        dated.loop,
        dated.leg,
        dated.has_evidence,
        dated.window_ends_at,
        cases.is_abandoned,
        cases.is_claimed,
        dated.leg = 'known' and coalesce(contacts.is_in_conflict, false) as is_in_conflict,
        dated.judged_at >= dated.window_ends_at as is_window_passed,
        orphans.case_no is not null as may_be_paid_otherwise,
        contacts.case_id is not null as has_identifier,
        case
            when cases.is_abandoned and dated.leg <> 'submitted' then 'not_due'
            when dated.leg = 'refunded' and refunds.case_id is null then 'not_due'
            when dated.leg in ('fulfilled', 'reflowed', 'notified') and ends.is_ended then 'not_due'
            -- One more contact may show that a shop's phone led to both.
            when
                dated.leg = 'known' and contacts.is_in_conflict
                and dated.judged_at < dated.window_ends_at
                then 'pending'
            when dated.leg = 'known' and contacts.is_in_conflict then 'unverifiable'
            -- What is not known so far, or not at all, may have shown the leg in time.
            when
                dated.has_evidence and dated.is_late and coalesce(dated.is_connected, false)
                and dated.judged_at >= dated.due_at
                then 'late'
            when dated.has_evidence then 'verified'
            when dated.leg = 'submitted' and cases.is_held then 'pending'
            when not coalesce(dated.is_connected, false) or dated.judged_at is null
                then 'unverifiable'
            when dated.is_anchor_unknown then 'unverifiable'
            when dated.leg in ('submitted', 'known') and cases.is_untold then 'unverifiable'
            when dated.leg = 'paid' and orphans.case_no is not null then 'unverifiable'
            when dated.leg = 'known' and contacts.case_id is null then 'unverifiable'
            when dated.judged_at < dated.window_ends_at then 'pending'
            when dated.leg = 'booked' and open_matches.case_no is not null then 'pending'
            when
                dated.leg in ('confirmed', 'ticketed')
                and coalesce(telling.told_until < dated.window_ends_at, false)
                then 'pending'
            else 'refuted'
        end as own_truth
    from dated
    inner join cases on dated.case_id = cases.case_id
    inner join ends on dated.case_id = ends.case_id
    left join contacts on dated.case_id = contacts.case_id
    left join refunds on dated.case_id = refunds.case_id
    left join open_matches on cases.case_id = 'order:' || open_matches.case_no
    left join orphans on cases.case_id = 'order:' || orphans.case_no
    left join telling on true
),

-- What could hold a record of an order, as far as it is connected.
order_records as (
    select
        min(complete_until) as known_until,
        coalesce(bool_or(table_name in ('pay_bill', 'erp_orders')), false) as can_be_told
    from watermarks
    where
        table_name in ('pay_bill', 'erp_orders', 'erp_receipts', 'erp_refunds') and is_connected
),

-- A claim that no record of the case answers: certain once all that could are known past the
-- first window. Where the bill is not connected, the ERP decides alone; where neither is, nobody.
unanswered_orders as (
    select
        own.case_id,
        order_records.known_until >= own.window_ends_at as is_certain
    from own
    inner join orders on own.case_id = orders.case_id
    left join refunds on own.case_id = refunds.case_id
    left join receipts on orders.case_no = receipts.case_no
    left join open_matches on orders.case_no = open_matches.case_no
    cross join order_records
    where
        own.leg = 'paid'
        and not own.has_evidence
        and not own.may_be_paid_otherwise
        and orders.is_claimed
        and orders.booked_ref is null
        and receipts.case_no is null
        and refunds.case_id is null
        and open_matches.case_no is null
        and order_records.can_be_told
),

surface_only as (
    select case_id from unanswered_orders
    where is_certain
    union all
    select own.case_id
    from own
    left join told on own.case_id = told.case_id
    where
        own.is_claimed
        and own.own_truth = 'refuted'
        and told.case_id is null
        and (own.leg in ('confirmed', 'ticketed') or (own.leg = 'known' and own.loop = 'member'))
),

doubtful_cases as (
    select distinct case_id from own
    where own_truth = 'unverifiable' and leg not in ('submitted', 'paid')
),

-- What would make these legs due cannot be asked for, so nobody can say that they are missing.
cause_unverifiable as (
    select
        earlier.case_id,
        ancestors.leg
    from own as earlier
    inner join doubtful_cases on earlier.case_id = doubtful_cases.case_id
    inner join ancestors on earlier.loop = ancestors.loop and earlier.leg = ancestors.ancestor
    where
        ancestors.leg in ('received', 'fulfilled', 'reflowed', 'notified', 'served', 'resolved')
    group by earlier.case_id, ancestors.leg
    having
        min(
            case
                when earlier.own_truth = 'unverifiable' and earlier.leg not in ('submitted', 'paid')
                    then ancestors.distance
            end
        ) < coalesce(min(case when earlier.has_evidence then ancestors.distance end), 99)
),

-- What nobody can ask for breaks nothing after it.
asked as (
    select
        own.case_id,
        own.loop,
        own.leg,
        case
            when cause_unverifiable.case_id is null then own.own_truth
            when own.own_truth in ('pending', 'refuted') then 'unverifiable'
            else own.own_truth
        end as asked_truth
    from own
    left join cause_unverifiable
        on own.case_id = cause_unverifiable.case_id and own.leg = cause_unverifiable.leg
),

-- What is not there before a leg, the earliest in its branch first.
missing_before as (
    select
        earlier.case_id,
        ancestors.leg,
        earlier.asked_truth,
        row_number() over (
            partition by earlier.case_id, ancestors.leg, earlier.asked_truth = 'unverifiable'
            order by ancestors.distance desc
        ) as breaking_rank
    from asked as earlier
    inner join ancestors on earlier.loop = ancestors.loop and earlier.leg = ancestors.ancestor
    where earlier.asked_truth in ('pending', 'refuted', 'unverifiable')
),

-- The first broken leg of a branch carries the finding: those after it inherit its truth.
first_broken as (
    select
        case_id,
        leg,
        asked_truth as inherited_truth
    from missing_before
    where asked_truth <> 'unverifiable' and breaking_rank = 1
),

-- While a cause is not known, nobody can say how late its effect is: late data is no lateness.
-- A refund is measured from its own other side.
cause_unknown as (
    select distinct
        case_id,
        leg
    from missing_before
    where asked_truth <> 'refuted' and leg <> 'refunded'
),

-- The record may still come, and with it what the CRM knows the buyer by, and what receipts and
-- refunds name.
awaiting_order as (
    select
        asked.case_id,
        coalesce(first_broken.inherited_truth, asked.asked_truth) = 'pending' as is_pending
    from asked
    left join first_broken on asked.case_id = first_broken.case_id and asked.leg = first_broken.leg
    where
        asked.leg in ('booked', 'confirmed')
        and (
            asked.asked_truth = 'pending'
            or (asked.asked_truth = 'refuted' and first_broken.inherited_truth = 'pending')
        )
),

-- Why `known` waits: it may be one finding with the claim that nothing answers.
waiting as (
    select case_id from awaiting_order
    union
    select case_id from unanswered_orders
    where not is_certain
),

judged as (
    select
        legs.*,
        own.is_abandoned,
        own.is_claimed,
        own.is_in_conflict,
        own.is_window_passed,
        own.may_be_paid_otherwise,
        own.has_identifier,
        own.own_truth,
        surface_only.case_id is not null as is_surface_only,
        coalesce(awaiting_order.is_pending, false) as is_order_awaited,
        first_broken.inherited_truth,
        case
            when own.own_truth = 'late' and cause_unknown.case_id is not null then 'verified'
            when own.leg = 'known' and own.own_truth = 'late' and awaiting_order.case_id is not null
                then 'verified'
            -- Who the buyer is stays open, whatever became of the legs before.
            when own.is_in_conflict then own.own_truth
            when own.own_truth not in ('pending', 'refuted', 'unverifiable') then own.own_truth
            when first_broken.inherited_truth is not null then first_broken.inherited_truth
            when surface_only.case_id is not null and own.leg <> 'submitted' then 'refuted'
            when cause_unverifiable.case_id is not null then 'unverifiable'
            when own.own_truth <> 'refuted' then own.own_truth
            when own.leg = 'known' and waiting.case_id is not null then 'pending'
            when own.leg = 'refunded' and awaiting_order.is_pending then 'pending'
            else own.own_truth
        end as truth
    from legs
    inner join own on legs.case_id = own.case_id and legs.leg = own.leg
    left join surface_only on own.case_id = surface_only.case_id
    left join awaiting_order on own.case_id = awaiting_order.case_id
    left join waiting on own.case_id = waiting.case_id
    left join cause_unknown
        on own.case_id = cause_unknown.case_id and own.leg = cause_unknown.leg
    left join cause_unverifiable
        on own.case_id = cause_unverifiable.case_id and own.leg = cause_unverifiable.leg
    left join first_broken on own.case_id = first_broken.case_id and own.leg = first_broken.leg
)

select * from judged
