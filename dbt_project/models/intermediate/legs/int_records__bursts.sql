with records as (
    select * from {{ ref('int_records__caused') }}
),

usual as (
    select * from {{ ref('int_records__usual_lags') }}
),

measured as (
    select
        records.table_name,
        records.business_line,
        records.source_ref,
        records.record_no,
        coalesce(records.created_by, '') as actor,
        records.created_at,
        records.caused_at,
        records.listed_at,
        records.lag_seconds,
        usual.usual_lag_seconds
    from records
    left join usual
        on
            records.table_name = usual.table_name
            and records.business_line = usual.business_line
            and records.business_day = usual.business_day
),

-- What the interface made in its usual time.
usually_made as (
    select
        table_name,
        business_line,
        created_at,
        listed_at
    from measured
    where lag_seconds <= usual_lag_seconds
),

late as (
    select * from measured
    where
        lag_seconds > greatest(
            coalesce(usual_lag_seconds, 0), {{ by_hand('burst_lag_seconds') }}
        )
),

-- Of each late record the moment well before it, among those at which the interface made one.
moments as (
    select
        table_name,
        business_line,
        created_at as happened_at,
        created_at as usually_made_at,
        cast(null as varchar) as source_ref
    from usually_made
    union all
    select
        table_name,
        business_line,
        created_at - interval {{ by_hand('burst_seconds') }} seconds,
        cast(null as timestamptz),
        source_ref
    from late
),

made_before as (
    select
        source_ref,
        max(usually_made_at) over (
            partition by table_name, business_line
            order by happened_at, source_ref nulls first
            rows between unbounded preceding and current row
        ) as last_usually_made_at
    from moments
),

-- Each late record in its line's list, among those that the interface made.
places as (
    select
        table_name,
        business_line,
        listed_at,
        1 as usually_made,
        cast(null as varchar) as source_ref
    from usually_made
    union all
    select
        table_name,
        business_line,
        listed_at,
        0,
        source_ref
    from late
),

listed_before as (
    select
        source_ref,
        sum(usually_made) over (
            partition by table_name, business_line
            order by listed_at, source_ref nulls first
            rows between unbounded preceding and current row
        ) as usual_rank
    from places
),

-- What may be by hand, and what the interface did of the same line meanwhile: whether it made any
-- record in its usual time after this one was overdue and well before it came, and how many it made
-- down the line's list. A told account works for itself.
lagging as (
    select
        late.source_ref,
        late.record_no,
        late.table_name,
        late.business_line,
        late.actor,
        late.created_at,
        {{ is_in_office_hours('late.created_at') }} as is_made_in_office_hours,
        late.listed_at,
        listed_before.usual_rank,
        coalesce(
            made_before.last_usually_made_at
            >= {{ add_seconds('late.caused_at', 'late.usual_lag_seconds') }},
            false
        ) as is_passed_over,
        lag(late.created_at) over (
            partition by late.table_name, late.actor
            order by late.created_at, late.record_no, late.source_ref
        ) as previous_at,
        lead(late.created_at) over (
            partition by late.table_name, late.actor
            order by late.created_at, late.record_no, late.source_ref
        ) as next_at
    from late
    inner join made_before on late.source_ref = made_before.source_ref
    inner join listed_before on late.source_ref = listed_before.source_ref
),

-- A sheet or a backlog comes at a machine's pace; a sitting beside it is a burst of its own.
paced as (
    select
        *,
        coalesce(
            created_at < {{ add_seconds('previous_at', by_hand('least_typing_seconds')) }}, false
        )
        or coalesce(
            next_at < {{ add_seconds('created_at', by_hand('least_typing_seconds')) }}, false
        ) as is_rapid
    from lagging
),

ranked as (
    select
        *,
        row_number() over (
            partition by table_name, actor, is_rapid
            order by created_at, record_no, source_ref
        ) as made_rank
    from paced
),

-- Whether ten minutes that begin with this record hold enough of them.
begun as (
    select
        *,
        coalesce(
            lead(created_at, {{ by_hand('burst_records') }} - 1)
                over (
                    partition by table_name, actor, is_rapid order by made_rank
                )
            < {{ add_seconds('created_at', by_hand('burst_seconds')) }},
            false
        ) as begins_burst,
        coalesce(
            lead(created_at, {{ by_hand('small_burst_records') }} - 1)
                over (
                    partition by table_name, actor, is_rapid order by made_rank
                )
            < {{ add_seconds('created_at', by_hand('burst_seconds')) }},
            false
        ) as begins_small_burst,
        case
            when
                created_at < {{ add_seconds(
                    'lag(created_at) over (
                        partition by table_name, actor, is_rapid order by made_rank
                    )',
                    by_hand('burst_seconds')
                ) }}
                then 0
            else 1
        end as begins_session
    from ranked
),

crowded as (
    select
        *,
        max(case when begins_burst then 1 else 0 end)
            over (
                partition by table_name, actor, is_rapid
                order by made_rank
                rows between {{ by_hand('burst_records') - 1 }} preceding and current row
            )
        = 1 as is_in_burst,
        max(case when begins_small_burst then 1 else 0 end)
            over (
                partition by table_name, actor, is_rapid
                order by made_rank
                rows between {{ by_hand('small_burst_records') - 1 }} preceding and current row
            )
        = 1 as is_in_small_burst
    from begun
),

sessions as (
    select
        *,
        sum(begins_session) over (
            partition by table_name, actor, is_rapid
            order by made_rank
            rows between unbounded preceding and current row
        ) as session_number
    from crowded
    where is_in_small_burst
),

distances as (
    {% for distance in range(1, by_hand('burst_records') + 2) -%}
        select {{ distance }} as distance
        {% if not loop.last -%} union all {%- endif %}
    {% endfor -%}
),

-- Two records made close to each other, and whether the list has them in the same order.
neighbours as (
    select
        sessions.source_ref as earlier_ref,
        later.source_ref as later_ref,
        -- Rows of one second have no order of their own.
        later.listed_at >= sessions.listed_at or later.created_at = sessions.created_at
            as is_ascending,
        later.listed_at <= sessions.listed_at or later.created_at = sessions.created_at
            as is_descending
    from sessions
    cross join distances
    inner join sessions as later
        on
            sessions.table_name = later.table_name
            and sessions.actor = later.actor
            and sessions.is_rapid = later.is_rapid
            and sessions.session_number = later.session_number
            and sessions.made_rank + distances.distance = later.made_rank
    where later.created_at < {{ add_seconds('sessions.created_at', by_hand('burst_seconds')) }}
),

both_ways as (
    select
        earlier_ref as source_ref,
        *
    from neighbours
    union all
    select
        later_ref,
        *
    from neighbours
),

surrounded as (
    select
        source_ref,
        count(*) as neighbours_count,
        greatest(
            count(case when is_ascending then 1 end), count(case when is_descending then 1 end)
        ) as in_order_count
    from both_ways
    group by source_ref
),

-- What the interface made meanwhile of the lists that the session goes down.
session_lines as (
    select
        table_name,
        actor,
        is_rapid,
        session_number,
        count(*) as records_count,
        count(case when is_passed_over then 1 end) as passed_over_count,
        max(usual_rank) - min(usual_rank) as overtaking_count
    from sessions
    group by table_name, actor, is_rapid, session_number, business_line
),

overtaken as (
    select
        table_name,
        actor,
        is_rapid,
        session_number,
        sum(overtaking_count) >= greatest(
            {{ by_hand('least_overtaking') }},
            {{ by_hand('overtaking_share') }} * sum(records_count)
        )
        or sum(passed_over_count) >= {{ by_hand('passed_over_share') }} * sum(records_count)
            as is_overtaken
    from session_lines
    group by table_name, actor, is_rapid, session_number
),

session_totals as (
    select
        sessions.table_name,
        sessions.actor,
        sessions.is_rapid,
        sessions.session_number,
        sum(surrounded.in_order_count)
        >= {{ by_hand('order_share') }} * sum(surrounded.neighbours_count) as is_in_order,
        {{ seconds_between('min(sessions.listed_at)', 'max(sessions.listed_at)') }}
        >= {{ by_hand('spread_factor') }}
        * {{ seconds_between('min(sessions.created_at)', 'max(sessions.created_at)') }}
            as is_spread
    from sessions
    inner join surrounded on sessions.source_ref = surrounded.source_ref
    group by
        sessions.table_name, sessions.actor, sessions.is_rapid, sessions.session_number
),

-- A record fits into its session, and the session goes down a list.
ordered as (
    select
        sessions.source_ref,
        sessions.is_in_burst,
        sessions.is_rapid,
        sessions.is_made_in_office_hours,
        session_totals.is_spread
        and session_totals.is_in_order
        and surrounded.in_order_count
        >= {{ by_hand('order_share') }} * surrounded.neighbours_count as is_in_order,
        overtaken.is_overtaken
    from sessions
    inner join surrounded on sessions.source_ref = surrounded.source_ref
    inner join session_totals
        on
            sessions.table_name = session_totals.table_name
            and sessions.actor = session_totals.actor
            and sessions.is_rapid = session_totals.is_rapid
            and sessions.session_number = session_totals.session_number
    inner join overtaken
        on
            sessions.table_name = overtaken.table_name
            and sessions.actor = overtaken.actor
            and sessions.is_rapid = overtaken.is_rapid
            and sessions.session_number = overtaken.session_number
),

graded as (
    select
        source_ref,
        case when is_in_burst then 1.0 else {{ by_hand('small_burst_grade') }} end as burst
    from ordered
    where
        is_in_order
        -- While records wait for an interface that is down, it makes no others.
        and (not is_rapid or (is_made_in_office_hours and is_overtaken))
)

select * from graded
