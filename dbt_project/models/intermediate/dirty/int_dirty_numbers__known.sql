{% if is_rejudging() -%}
with contacts as (
    select * from {{ ref('int_case_contacts') }}
),

made_by as (
    select * from {{ ref('int_records__made_by') }}
),

parts as (
    select * from {{ ref('int_parts__made_by') }}
),

cases as (
    select * from {{ ref('int_cases') }}
),

orphans as (
    select * from {{ ref('int_order_orphans') }}
),

evidence_before as (
    select * from intermediate.int_evidence
),

known_before as (
    select * from intermediate.int_legs__judged
    where leg = 'known'
),

paid_before as (
    select
        case_no,
        may_be_paid_otherwise
    from intermediate.int_legs__judged
    where leg = 'paid'
),

paid_otherwise as (
    select paid_before.case_no
    from paid_before
    left join orphans on paid_before.case_no = orphans.case_no
    where paid_before.may_be_paid_otherwise is distinct from (orphans.case_no is not null)
),

-- Who the buyer is, as the legs were judged by it before.
known_otherwise as (
    select cases.case_no
    from known_before
    inner join cases on known_before.case_id = cases.case_id
    left join contacts on known_before.case_id = contacts.case_id
    left join evidence_before
        on known_before.case_id = evidence_before.case_id and evidence_before.leg = 'known'
    where
        contacts.known_ref is distinct from evidence_before.evidence_ref
        or contacts.known_at is distinct from evidence_before.evidence_at
        or contacts.match_tier is distinct from evidence_before.match_tier
        or (contacts.case_id is not null) is distinct from known_before.has_identifier
        or coalesce(contacts.is_in_conflict, false) is distinct from known_before.is_in_conflict
),

made_otherwise as (
    select evidence_before.case_no
    from evidence_before
    inner join made_by on evidence_before.evidence_ref = made_by.source_ref
    left join parts
        on evidence_before.case_no = parts.case_no and evidence_before.leg = parts.leg
    left join made_by as by_hand on evidence_before.hand_ref = by_hand.source_ref
    where
        evidence_before.hand_signs is distinct from by_hand.hand_signs
        or evidence_before.made_by is distinct from coalesce(parts.made_by, made_by.made_by)
        or evidence_before.hand_ref is distinct from coalesce(
            parts.hand_ref, case when made_by.made_by = 'human' then made_by.source_ref end
        )
)

select number from {{ ref('int_dirty_numbers__matched') }}
union
select case_no from known_otherwise
union
select case_no from made_otherwise
union
select case_no from paid_otherwise
{%- else -%}
-- depends_on: {{ ref('int_case_contacts') }}
-- depends_on: {{ ref('int_records__made_by') }}
-- depends_on: {{ ref('int_parts__made_by') }}
-- depends_on: {{ ref('int_order_orphans') }}
-- depends_on: {{ ref('int_cases') }}
-- depends_on: {{ ref('int_dirty_numbers__matched') }}
    select cast(null as varchar) as number
    where false
{%- endif %}
