with records as (
    select * from {{ ref('int_records__caused') }}
),

usual as (
    select * from {{ ref('int_records__usual_lags') }}
),

bursts as (
    select * from {{ ref('int_records__bursts') }}
),

measured as (
    select
        records.*,
        usual.usual_lag_seconds,
        records.lag_seconds > usual.usual_lag_seconds as is_lag_unusual,
        usual.keyed_records_count >= {{ by_hand('least_records') }}
        and usual.key_rate >= {{ by_hand('least_key_share') }}
        and not records.has_key as is_key_absent,
        {{ is_in_office_hours('records.created_at') }} as is_made_in_office_hours,
        {{ is_in_office_hours('records.listed_at') }} as is_listed_in_office_hours,
        bursts.burst
    from records
    left join usual
        on
            records.table_name = usual.table_name
            and records.business_line = usual.business_line
            and records.business_day = usual.business_day
    left join bursts on records.source_ref = bursts.source_ref
),

graded as (
    select
        table_name,
        source_ref,
        lag_seconds,
        usual_lag_seconds,
        case when is_key_absent then 1.0 else 0.0 end as key_absent,
        case when is_lag_unusual then 1.0 else 0.0 end as lag_unusual,
        case
            when is_made_in_office_hours and not is_listed_in_office_hours then 1.0
            else 0.0
        end as office_closed,
        coalesce(burst, 0.0) as burst,
        case when has_other_phone or is_amount_rounded then 1.0 else 0.0 end as field_mistyped
    from measured
),

scored as (
    select
        table_name,
        source_ref,
        lag_seconds,
        usual_lag_seconds,
        {% set signs = [
            'key_absent', 'lag_unusual', 'office_closed', 'burst', 'field_mistyped',
        ] -%}
        {% for sign in signs -%}
            cast({{ sign }} as double) as {{ sign }},
        {% endfor -%}
        round(
            1.0 - {% for sign in signs -%}
                (1.0 - {{ by_hand('weight_' ~ sign) }} * cast({{ sign }} as double))
                {%- if not loop.last %} * {% endif %}
            {%- endfor %},
            6
        ) as made_by_score
    from graded
)

select * from scored
