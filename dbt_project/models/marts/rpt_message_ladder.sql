{#- A click is answered within a day, the payment window of an order. A front end calls a session
    over after half an hour (the usual rule), so what starts later is a visit of its own. -#}
{%- set conversion_seconds = 86400 -%}
{%- set opening_seconds = 1800 -%}
{%- set failures = ['user_block', 'system_failed', 'freq_limit', 'not_sent'] -%}
{%- set rungs = [
    'due', 'sent', 'delivered', 'clicked', 'opened', 'verified', 'delivered_called_back',
    'delivered_by_click', 'opened_by_message', 'verified_named_case', 'status_unknown',
] -%}
{%- set counts = rungs + failures -%}

with messages as (
    select * from {{ ref('stg_messaging__messages') }}
),

results as (
    select * from {{ ref('stg_messaging__message_results') }}
),

events as (
    select * from {{ ref('stg_tracking__events') }}
),

people as (
    select * from {{ ref('int_people__resolved') }}
),

cases as (
    select
        *,
        {{ case_no_of_case() }} as case_no
    from {{ ref('fct_cases') }}
    where verified_converted
),

payments as (
    select * from {{ ref('fct_case_legs') }}
    where leg = 'paid' and evidence_at is not null
),

run as (
    select * from {{ ref('int_run__as_of') }}
),

clicks as (
    select
        message_id,
        session_id,
        unionid,
        openid,
        occurred_at,
        row_number() over (partition by message_id order by occurred_at, event_id) as click_rank
    from events
    where event = 'message_click' and message_id is not null
),

-- Who clicked is whom the click names, else whom the message was addressed to.
clicked as (
    select
        messages.message_id,
        messages.kind,
        messages.case_no,
        clicks.session_id,
        clicks.occurred_at as clicked_at,
        coalesce(
            click_unionid.person_id,
            click_openid.person_id,
            message_unionid.person_id,
            message_openid.person_id
        ) as person_id
    from messages
    inner join clicks on messages.message_id = clicks.message_id and clicks.click_rank = 1
    left join people as click_unionid on 'unionid:' || clicks.unionid = click_unionid.identifier
    left join people as click_openid on 'openid:' || clicks.openid = click_openid.identifier
    left join people as message_unionid
        on 'unionid:' || messages.unionid = message_unionid.identifier
    left join people as message_openid
        on 'openid:' || messages.openid = message_openid.identifier
),

starts as (
    select
        events.message_id,
        events.session_id,
        events.occurred_at,
        coalesce(by_unionid.person_id, by_openid.person_id) as person_id
    from events
    left join people as by_unionid on 'unionid:' || events.unionid = by_unionid.identifier
    left join people as by_openid on 'openid:' || events.openid = by_openid.identifier
    where events.event = 'session_start'
),

-- Surest first: the start bears the message, or is of the session that the click is tracked in.
openings as (
    select
        clicked.message_id,
        clicked.kind,
        true as is_by_message
    from clicked
    inner join starts on clicked.message_id = starts.message_id
    where starts.occurred_at >= clicked.clicked_at
    union
    select
        clicked.message_id,
        clicked.kind,
        true
    from clicked
    inner join starts on clicked.session_id = starts.session_id
    union
    select
        clicked.message_id,
        clicked.kind,
        false
    from clicked
    inner join starts on clicked.person_id = starts.person_id
    where
        starts.occurred_at >= clicked.clicked_at
        and starts.occurred_at
        < {{ add_seconds('clicked.clicked_at', opening_seconds) }}
),

opened as (
    select
        message_id,
        kind,
        max(case when is_by_message then 1 else 0 end) = 1 as is_by_message
    from openings
    group by message_id, kind
),

-- An order converts when it is paid, anything else when it is entered. A notice of an order paid
-- before the click thus converts nothing.
conversions as (
    select
        cases.case_id,
        cases.person_id,
        cases.case_no,
        case when cases.loop = 'order' then payments.evidence_at else cases.entered_at end
            as converted_at
    from cases
    left join payments on cases.case_id = payments.case_id
),

verified as (
    select
        clicked.message_id,
        clicked.kind,
        true as is_named_case
    from clicked
    inner join conversions on clicked.case_no = conversions.case_no
    where
        conversions.converted_at >= clicked.clicked_at
        and conversions.converted_at
        < {{ add_seconds('clicked.clicked_at', conversion_seconds) }}
    union
    select
        clicked.message_id,
        clicked.kind,
        false
    from clicked
    inner join conversions on clicked.person_id = conversions.person_id
    where
        clicked.case_no is null
        and conversions.converted_at >= clicked.clicked_at
        and conversions.converted_at
        < {{ add_seconds('clicked.clicked_at', conversion_seconds) }}
),

laddered as (
    select
        {{ business_day('coalesce(messages.due_at, messages.sent_at, messages.status_at)') }}
            as business_day,
        coalesce(messages.business_line, 'unknown') as business_line,
        coalesce(messages.node, 'unknown') as node,
        messages.kind,
        coalesce(messages.template_id, 'none') as template_id,
        true as is_due,
        -- A message that failed was handed over; only `not_sent` says that it was not. A click
        -- proves a delivery of which nothing else is told.
        coalesce(messages.status <> 'not_sent', true)
        and (
            messages.sent_at is not null
            or messages.status is not null
            or clicked.message_id is not null
        ) as is_sent,
        coalesce(messages.status = 'success', false)
        or (messages.status is null and clicked.message_id is not null) as is_delivered,
        messages.status is null and clicked.message_id is not null as is_delivered_by_click,
        coalesce(messages.status = 'success', false) and messages.is_called_back
            as is_delivered_called_back,
        clicked.message_id is not null as is_clicked,
        opened.message_id is not null as is_opened,
        coalesce(opened.is_by_message, false) as is_opened_by_message,
        verified.message_id is not null as is_verified,
        coalesce(verified.is_named_case, false) as is_verified_named_case,
        messages.sent_at is not null
        and messages.status is null
        and clicked.message_id is null as is_status_unknown,
        messages.status
    from messages
    left join clicked
        on messages.message_id = clicked.message_id and messages.kind = clicked.kind
    left join opened on messages.message_id = opened.message_id and messages.kind = opened.kind
    left join verified
        on messages.message_id = verified.message_id and messages.kind = verified.kind
),

-- Nothing says that these were owed: they stand beside the ladder, on no rung of it.
outside_the_log as (
    select
        {{ business_day('results.status_at') }} as business_day,
        results.kind,
        coalesce(results.template_id, 'none') as template_id
    from results
    left join messages on results.message_id = messages.message_id and results.kind = messages.kind
    where messages.message_id is null and results.status <> 'not_sent'
),

cells as (
    select
        business_day,
        business_line,
        node,
        kind,
        template_id,
        {%- for rung in rungs %}
            case when is_{{ rung }} then 1 else 0 end as {{ rung }}_count,
        {%- endfor %}
        {%- for failure in failures %}
            case when status = '{{ failure }}' then 1 else 0 end as {{ failure }}_count,
        {%- endfor %}
        0 as outside_log_count
    from laddered
    union all
    select
        business_day,
        'unknown',
        'unknown',
        kind,
        template_id,
        {%- for count in counts %}
            0,
        {%- endfor %}
        1
    from outside_the_log
),

summed as (
    select
        business_day,
        business_line,
        node,
        kind,
        template_id,
        {%- for count in counts + ['outside_log'] %}
            cast(sum({{ count }}_count) as bigint) as {{ count }}_count,
        {%- endfor %}
        false as is_total
    from cells
    group by business_day, business_line, node, kind, template_id
    union all
    select
        business_day,
        'all',
        'all',
        'all',
        'all',
        {%- for count in counts + ['outside_log'] %}
            cast(sum({{ count }}_count) as bigint),
        {%- endfor %}
        true
    from cells
    group by business_day
),

rated as (
    select
        summed.*,
        {{ rate('summed.sent_count', 'summed.due_count') }} as sent_rate,
        {{ rate('summed.delivered_count', 'summed.sent_count') }} as delivered_rate,
        {{ rate('summed.clicked_count', 'summed.delivered_count') }} as clicked_rate,
        {{ rate('summed.opened_count', 'summed.clicked_count') }} as opened_rate,
        {{ rate('summed.verified_count', 'summed.clicked_count') }} as verified_rate,
        run.as_of
    from summed
    cross join run
)

select * from rated
