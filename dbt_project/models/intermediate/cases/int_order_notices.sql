with messages as (
    select * from {{ ref('stg_messaging__messages') }}
    where case_no is not null and coalesce(node, '') <> 'marketing'
),

cases as (
    select * from {{ ref('int_order_cases') }}
),

shipments as (
    select * from {{ ref('int_order_shipments') }}
),

-- The shipping notice is the one that is due; another notice counts where it followed the parcel.
due_messages as (
    select
        cases.case_id,
        messages.*,
        coalesce(messages.sent_at, messages.status_at, messages.due_at) as message_at
    from messages
    inner join cases on messages.case_no = cases.case_no
    left join shipments on cases.case_no = shipments.case_no
    where
        messages.node = 'shipping_notice'
        or coalesce(messages.sent_at, messages.status_at)
        >= {{ add_seconds('shipments.evidence_at', -120) }}
),

ranked as (
    select
        *,
        row_number() over (
            partition by case_id
            order by
                case status when 'success' then 0 when 'not_sent' then 2 else 1 end,
                message_at,
                message_id
        ) as message_rank
    from due_messages
)

select * from ranked
where message_rank = 1
