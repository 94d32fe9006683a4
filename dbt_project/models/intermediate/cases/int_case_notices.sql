{{ config(
    incremental_predicates=[
        'case_no in (select number from intermediate.int_dirty_numbers__matched)'
    ]
) }}

{%- set skew_seconds = 120 -%}

with messages as (
    select * from {{ ref('stg_messaging__messages') }}
    where case_no is not null and coalesce(node, '') <> 'marketing'
),

cases as (
    select * from {{ ref('int_cases') }}
    where {{ in_question('case_no', 'int_dirty_numbers__matched') }}
),

shipments as (
    select * from {{ ref('int_order_shipments') }}
),

tickets as (
    select * from {{ ref('int_aftersale_cases') }}
),

addressed as (
    select
        cases.case_id,
        cases.loop,
        cases.case_no as number,
        messages.*,
        coalesce(messages.sent_at, messages.status_at, messages.due_at) as message_at
    from messages
    inner join cases on messages.case_no = cases.case_no
    where cases.loop <> 'member'
),

-- The shipping notice is the one that is due for an order, the confirmation for a booking. Any
-- other notice counts where it followed the parcel, or the end of the ticket.
due_messages as (
    select addressed.*
    from addressed
    left join shipments on addressed.case_id = 'order:' || shipments.case_no
    left join tickets
        on
            addressed.case_id = tickets.case_id and tickets.state in ('resolved', 'cancelled')
    where
        case addressed.loop
            when 'order'
                then
                    coalesce(addressed.node = 'shipping_notice', false)
                    or coalesce(addressed.sent_at, addressed.status_at)
                    >= {{ add_seconds('shipments.evidence_at', -skew_seconds) }}
            when 'booking' then addressed.node = 'service_confirm'
            else
                addressed.message_at
                >= {{ add_seconds(
                    'coalesce(tickets.closed_at, tickets.recorded_at)', -skew_seconds
                ) }}
        end
),

ranked as (
    select
        *,
        row_number() over (
            partition by case_id
            order by
                case
                    when status = 'success' then 0
                    when status in ('user_block', 'system_failed', 'freq_limit') then 1
                    else 2
                end,
                sent_at nulls first,
                message_at,
                message_id
        ) as message_rank
    from due_messages
)

select * from ranked
where message_rank = 1
