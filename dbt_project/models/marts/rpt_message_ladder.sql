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

-- WeChat tells of a mass sending how many it was meant for, by itself.
mass_results as (
    select
        *,
        greatest(coalesce(filter_count, total_count), coalesce(sent_count, 0)) as handed_count
    from results
    where kind = 'mass' and total_count is not null
),

sendings as (
    select
        message_id,
        kind,
        template_id,
        openid,
        unionid,
        business_line,
        case_no,
        node,
        status,
        is_called_back,
        due_at,
        sent_at,
        status_at
    from messages
    union all
    select
        mass_results.message_id,
        mass_results.kind,
        mass_results.template_id,
        null,
        null,
        null,
        null,
        null,
        mass_results.status,
        true,
        null,
        null,
        mass_results.status_at
    from mass_results
    left join messages
        on mass_results.message_id = messages.message_id and mass_results.kind = messages.kind
    where messages.message_id is null
),

-- Who clicked is whom the click names, else whom the message was addressed to.
clicks as (
    select
        sendings.message_id,
        sendings.kind,
        sendings.case_no,
        events.event_id as click_id,
        events.session_id,
        events.occurred_at as clicked_at,
        coalesce(
            click_unionid.person_id,
            click_openid.person_id,
            message_unionid.person_id,
            message_openid.person_id
        ) as person_id
    from sendings
    inner join events
        on sendings.message_id = events.message_id and events.event = 'message_click'
    left join people as click_unionid on 'unionid:' || events.unionid = click_unionid.identifier
    left join people as click_openid on 'openid:' || events.openid = click_openid.identifier
    left join people as message_unionid
        on 'unionid:' || sendings.unionid = message_unionid.identifier
    left join people as message_openid
        on 'openid:' || sendings.openid = message_openid.identifier
),

-- A message to one is clicked once, a mass message once by each.
ranked_clicks as (
    select
        *,
        row_number() over (
            partition by
                message_id,
                kind,
                case when kind = 'mass' then coalesce(person_id, session_id, click_id) end
            order by clicked_at, click_id
        ) as click_rank
    from clicks
),

clicked as (
    select * from ranked_clicks
    where click_rank = 1
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
        clicked.click_id,
        true as is_by_message
    from clicked
    inner join starts on clicked.message_id = starts.message_id
    where
        starts.occurred_at >= clicked.clicked_at
        and (clicked.kind <> 'mass' or starts.person_id = clicked.person_id)
    union
    select
        clicked.click_id,
        true
    from clicked
    inner join starts on clicked.session_id = starts.session_id
    union
    select
        clicked.click_id,
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
        click_id,
        max(case when is_by_message then 1 else 0 end) = 1 as is_by_message
    from openings
    group by click_id
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
        clicked.click_id,
        true as is_named_case
    from clicked
    inner join conversions on clicked.case_no = conversions.case_no
    where
        conversions.converted_at >= clicked.clicked_at
        and conversions.converted_at
        < {{ add_seconds('clicked.clicked_at', conversion_seconds) }}
    union
    select
        clicked.click_id,
        false
    from clicked
    inner join conversions on clicked.person_id = conversions.person_id
    where
        clicked.case_no is null
        and conversions.converted_at >= clicked.clicked_at
        and conversions.converted_at
        < {{ add_seconds('clicked.clicked_at', conversion_seconds) }}
),

reactions as (
    select
        clicked.message_id,
        clicked.kind,
        count(*) as clicked_count,
        count(opened.click_id) as opened_count,
        count(case when opened.is_by_message then 1 end) as opened_by_message_count,
        count(verified.click_id) as verified_count,
        count(case when verified.is_named_case then 1 end) as verified_named_case_count
    from clicked
    left join opened on clicked.click_id = opened.click_id
    left join verified on clicked.click_id = verified.click_id
    group by clicked.message_id, clicked.kind
),

laddered as (
    select
        {{ business_day('coalesce(sendings.due_at, sendings.sent_at, sendings.status_at)') }}
            as business_day,
        coalesce(sendings.business_line, 'unknown') as business_line,
        coalesce(sendings.node, 'unknown') as node,
        sendings.kind,
        coalesce(sendings.template_id, 'none') as template_id,
        sendings.status,
        sendings.is_called_back,
        reactions.message_id is not null as is_clicked,
        -- A message that failed was handed over; only `not_sent` says that it was not. A click
        -- proves a delivery of which nothing else is told.
        coalesce(sendings.status <> 'not_sent', true)
        and (
            sendings.sent_at is not null
            or sendings.status is not null
            or reactions.message_id is not null
        ) as is_sent,
        sendings.sent_at is not null
        and sendings.status is null
        and reactions.message_id is null as is_status_unknown,
        coalesce(greatest(mass_results.total_count, mass_results.handed_count), 1)
            as addressed_count,
        coalesce(mass_results.handed_count, 1) as handed_count,
        coalesce(mass_results.sent_count, 1) as received_count,
        mass_results.error_count,
        coalesce(reactions.clicked_count, 0) as clicked_count,
        coalesce(reactions.opened_count, 0) as opened_count,
        coalesce(reactions.opened_by_message_count, 0) as opened_by_message_count,
        coalesce(reactions.verified_count, 0) as verified_count,
        coalesce(reactions.verified_named_case_count, 0) as verified_named_case_count
    from sendings
    left join mass_results
        on sendings.message_id = mass_results.message_id and sendings.kind = mass_results.kind
    left join reactions
        on sendings.message_id = reactions.message_id and sendings.kind = reactions.kind
),

-- Nothing says that these were owed: they stand beside the ladder, on no rung of it.
outside_the_log as (
    select
        {{ business_day('results.status_at') }} as business_day,
        results.kind,
        coalesce(results.template_id, 'none') as template_id
    from results
    left join sendings
        on results.message_id = sendings.message_id and results.kind = sendings.kind
    where sendings.message_id is null and results.status <> 'not_sent'
),

cells as (
    select
        business_day,
        business_line,
        node,
        kind,
        template_id,
        addressed_count as due_count,
        case when is_sent then handed_count else 0 end as sent_count,
        case
            when status = 'success' then received_count
            when status is null and is_clicked then 1
            else 0
        end as delivered_count,
        clicked_count,
        opened_count,
        verified_count,
        case when status = 'success' and is_called_back then received_count else 0 end
            as delivered_called_back_count,
        case when status is null and is_clicked then 1 else 0 end as delivered_by_click_count,
        opened_by_message_count,
        verified_named_case_count,
        case when is_status_unknown then handed_count else 0 end as status_unknown_count,
        case when status = 'user_block' then handed_count else 0 end as user_block_count,
        case
            when status = 'system_failed' then coalesce(error_count, handed_count)
            when status = 'success' then coalesce(error_count, 0)
            else 0
        end as system_failed_count,
        case when status = 'freq_limit' then handed_count else 0 end as freq_limit_count,
        case when status = 'not_sent' then addressed_count else 0 end as not_sent_count,
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
