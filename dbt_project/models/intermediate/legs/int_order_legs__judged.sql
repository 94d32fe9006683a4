with legs as (
    select * from {{ ref('int_order_legs__anchored') }}
),

cases as (
    select * from {{ ref('int_order_cases') }}
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

ancestors as (
    select * from {{ ref('leg_ancestors') }}
    where loop = 'order'
),

erp_orders as (
    select * from {{ ref('stg_company__watermarks') }}
    where table_name = 'erp_orders'
),

-- What ended the order before a parcel left. Once one has left, it is judged.
ends as (
    select
        cases.case_id,
        shipments.case_no is null
        and (
            cases.erp_state is not distinct from 'cancelled'
            or coalesce(refunds.bill_refund_fen >= cases.paid_amount_fen, false)
            or coalesce(refunds.erp_refund_fen >= cases.booked_amount_fen, false)
        ) as is_ended_unshipped
    from cases
    left join shipments on cases.case_no = shipments.case_no
    left join refunds on cases.case_id = refunds.case_id
),

own as (
    select
        legs.*,
        cases.is_abandoned,
        legs.leg = 'known' and coalesce(contacts.is_in_conflict, false) as is_in_conflict,
        legs.judged_at >= legs.window_ends_at as is_window_passed,
        case
            when cases.is_abandoned and legs.leg <> 'submitted' then 'not_due'
            when legs.leg = 'refunded' and refunds.case_id is null then 'not_due'
            when
                legs.leg in ('fulfilled', 'reflowed', 'notified')
                and ends.is_ended_unshipped
                then 'not_due'
            when legs.leg = 'known' and contacts.is_in_conflict then 'unverifiable'
            when legs.has_evidence and legs.is_late then 'late'
            when legs.has_evidence then 'verified'
            when not coalesce(legs.is_connected, false) or legs.judged_at is null
                then 'unverifiable'
            when legs.leg = 'known' and contacts.case_id is null then 'unverifiable'
            when legs.judged_at < legs.window_ends_at then 'pending'
            else 'refuted'
        end as own_truth
    from legs
    inner join cases on legs.case_id = cases.case_id
    inner join ends on legs.case_id = ends.case_id
    left join contacts on legs.case_id = contacts.case_id
    left join refunds on legs.case_id = refunds.case_id
),

-- A claim that no record of the case answers, once bill and ERP are known past the first window.
-- Where the bill is not connected, the ERP decides alone; where neither is, nobody does.
surface_only as (
    select own.case_id
    from own
    inner join cases on own.case_id = cases.case_id
    left join refunds on own.case_id = refunds.case_id
    left join receipts on cases.case_no = receipts.case_no
    left join erp_orders on true
    where
        own.leg = 'paid'
        and (
            own.own_truth = 'refuted'
            or (
                own.own_truth = 'unverifiable'
                and not own.is_connected
                and coalesce(erp_orders.is_connected, false)
            )
        )
        and cases.is_claimed
        and cases.booked_ref is null
        and receipts.case_no is null
        and refunds.case_id is null
        and (
            not coalesce(erp_orders.is_connected, false)
            or erp_orders.complete_until >= own.window_ends_at
        )
),

-- The ERP order may still come, and with it the phone by which the CRM knows the buyer.
awaiting_order as (
    select case_id from own
    where leg = 'booked' and own_truth = 'pending'
),

-- What is not there before a leg, the earliest in its branch first.
missing_before as (
    select
        own.case_id,
        own.leg,
        earlier.own_truth,
        row_number() over (
            partition by own.case_id, own.leg order by ancestors.distance desc
        ) as missing_rank,
        row_number() over (
            partition by own.case_id, own.leg, earlier.own_truth = 'unverifiable'
            order by ancestors.distance desc
        ) as breaking_rank
    from own
    inner join ancestors on own.leg = ancestors.leg
    inner join own as earlier
        on own.case_id = earlier.case_id and ancestors.ancestor = earlier.leg
    where earlier.own_truth in ('pending', 'refuted', 'unverifiable')
),

-- The first broken leg of a branch carries the finding: those after it inherit its truth.
first_broken as (
    select
        case_id,
        leg,
        own_truth as inherited_truth
    from missing_before
    where own_truth <> 'unverifiable' and breaking_rank = 1
),

-- While a cause is not known, nobody can say how late its effect is: late data is no lateness.
-- A refund is measured from its own other side.
cause_unknown as (
    select
        case_id,
        leg
    from missing_before
    where missing_rank = 1 and own_truth <> 'refuted' and leg <> 'refunded'
),

judged as (
    select
        own.*,
        surface_only.case_id is not null as is_surface_only,
        first_broken.inherited_truth,
        case
            when
                own.own_truth = 'late'
                and cause_unknown.case_id is not null
                and surface_only.case_id is null
                then 'verified'
            -- Who the buyer is stays open, whatever became of the legs before.
            when own.is_in_conflict then own.own_truth
            when own.own_truth not in ('pending', 'refuted', 'unverifiable') then own.own_truth
            when first_broken.inherited_truth is not null then first_broken.inherited_truth
            when surface_only.case_id is not null and own.leg <> 'submitted' then 'refuted'
            when
                own.leg = 'known' and awaiting_order.case_id is not null
                and own.own_truth = 'refuted'
                then 'pending'
            else own.own_truth
        end as truth
    from own
    left join surface_only on own.case_id = surface_only.case_id
    left join awaiting_order on own.case_id = awaiting_order.case_id
    left join cause_unknown
        on own.case_id = cause_unknown.case_id and own.leg = cause_unknown.leg
    left join first_broken on own.case_id = first_broken.case_id and own.leg = first_broken.leg
)

select * from judged
