with records as (
    select * from {{ ref('int_records__caused') }}
),

daily_keys as (
    select
        table_name,
        business_line,
        business_day,
        count(has_key) as keyed_records_count,
        count(case when has_key then 1 end) as keys_count
    from records
    group by table_name, business_line, business_day
),

first_days as (
    select
        table_name,
        min(business_day) as first_day
    from records
    group by table_name
),

-- What a day is judged by: the weeks that end with it, or the table's first week.
periods as (
    select
        daily_keys.table_name,
        daily_keys.business_line,
        daily_keys.business_day,
        cast(
            {{ dbt.dateadd('day', 1 - by_hand('period_days'), 'daily_keys.business_day') }} as date
        ) as first_day,
        greatest(
            daily_keys.business_day,
            cast(
                {{ dbt.dateadd('day', by_hand('first_days') - 1, 'first_days.first_day') }} as date
            )
        ) as last_day
    from daily_keys
    inner join first_days on daily_keys.table_name = first_days.table_name
),

keys as (
    select
        periods.table_name,
        periods.business_line,
        periods.business_day,
        sum(daily_keys.keyed_records_count) as keyed_records_count,
        {{ rate('sum(daily_keys.keys_count)', 'sum(daily_keys.keyed_records_count)') }} as key_rate
    from periods
    inner join daily_keys
        on
            periods.table_name = daily_keys.table_name
            and periods.business_line = daily_keys.business_line
            and periods.first_day <= daily_keys.business_day
            and periods.last_day >= daily_keys.business_day
    group by periods.table_name, periods.business_line, periods.business_day
),

stepped as (
    select
        table_name,
        business_line,
        business_day,
        cast(
            floor({{ by_hand('steps_per_octave') }} * ln(greatest(lag_seconds, 1)) / ln(2))
            as integer
        ) as lag_step
    from records
    where lag_seconds is not null
),

daily_lags as (
    select
        table_name,
        business_line,
        business_day,
        lag_step,
        count(*) as records_count
    from stepped
    group by table_name, business_line, business_day, lag_step
),

period_lags as (
    select
        periods.table_name,
        periods.business_line,
        periods.business_day,
        daily_lags.lag_step,
        sum(daily_lags.records_count) as records_count
    from periods
    inner join daily_lags
        on
            periods.table_name = daily_lags.table_name
            and periods.business_line = daily_lags.business_line
            and periods.first_day <= daily_lags.business_day
            and periods.last_day >= daily_lags.business_day
    group by
        periods.table_name, periods.business_line, periods.business_day, daily_lags.lag_step
),

cumulated as (
    select
        table_name,
        business_line,
        business_day,
        lag_step,
        sum(records_count) over (
            partition by table_name, business_line, business_day
        ) as lags_count,
        sum(records_count) over (
            partition by table_name, business_line, business_day
            order by lag_step
            rows between unbounded preceding and current row
        ) as reached_count,
        coalesce(
            sum(records_count) over (
                partition by table_name, business_line, business_day
                order by lag_step
                range between 1 following and {{ by_hand('steps_per_octave') }} following
            ),
            0
        ) as next_octave_count
    from period_lags
),

-- Where the fast mode ends; one octave above it the usual range does.
edges as (
    select
        table_name,
        business_line,
        business_day,
        max(lags_count) as lags_count,
        min(
            case
                when
                    lags_count >= {{ by_hand('least_records') }}
                    and reached_count >= {{ by_hand('fast_share') }} * lags_count
                    and next_octave_count <= {{ by_hand('sparse_share') }} * reached_count
                    then lag_step
            end
        ) as edge_step
    from cumulated
    group by table_name, business_line, business_day
),

learned as (
    select
        keys.table_name,
        keys.business_line,
        keys.business_day,
        cast(keys.keyed_records_count as bigint) as keyed_records_count,
        keys.key_rate,
        cast(coalesce(edges.lags_count, 0) as bigint) as lags_count,
        greatest(
            cast({{ by_hand('least_usual_seconds') }} as bigint),
            cast(
                floor(
                    power(2.0, 1 + (edges.edge_step + 1) / {{ by_hand('steps_per_octave') }}.0)
                ) as bigint
            )
        ) as greatest_lag_seconds,
        edges.edge_step is not null as is_lag_learned
    from keys
    left join edges
        on
            keys.table_name = edges.table_name
            and keys.business_line = edges.business_line
            and keys.business_day = edges.business_day
),

usual as (
    select
        table_name,
        business_line,
        business_day,
        keyed_records_count,
        key_rate,
        lags_count,
        case when is_lag_learned then greatest_lag_seconds end as usual_lag_seconds
    from learned
)

select * from usual
