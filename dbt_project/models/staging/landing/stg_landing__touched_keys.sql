{#-
    Keys are told by what stands in a changed day now and by what stood there before. A row of the
    same key on another day is looked at again by its key.
-#}
{% if is_rejudging() -%}
with changed_batches as (
    select
        coalesce(now.table_name, before.table_name) as table_name,
        coalesce(now.business_day, before.business_day) as business_day
    from {{ source('landing', 'batches') }} as now
    full outer join state.batches as before
        on
            now.table_name = before.table_name
            and now.business_day = before.business_day
            and now.batch_id = before.batch_id
    where now.table_name is null or before.table_name is null
),

moved_watermarks as (
    select
        now.table_name,
        {{ business_day('coalesce(before.complete_until, to_timestamp(0))') }} as from_day
    from {{ source('landing', 'watermarks') }} as now
    left join state.watermarks as before on now.table_name = before.table_name
    where now.complete_until is distinct from before.complete_until
),

changed_days as (
    select
        table_name,
        business_day
    from changed_batches
    union
    select
        batches.table_name,
        batches.business_day
    from {{ source('landing', 'batches') }} as batches
    inner join moved_watermarks
        on
            batches.table_name = moved_watermarks.table_name
            and batches.business_day >= moved_watermarks.from_day
),

touched as (
{%- for table, about in landed_tables().items() %}
    {%- set row_key = row_key_of(about['key']) %}
    {{ 'union' if not loop.first }}
    select
        '{{ table }}' as table_name,
        {{ row_key }} as row_key
    from {{ source('landing', table) }}
    where business_day in (select business_day from changed_days where table_name = '{{ table }}')
    union
    select
        '{{ table }}',
        {{ row_key }}
    from staging.{{ about['staged'] }}
    where business_day in (select business_day from changed_days where table_name = '{{ table }}')
{%- endfor %}
),

-- A staged message bears the status that was called back, so its result touches it.
told as (
    select
        table_name,
        row_key
    from touched
    union
    {#- The message's key alone: the kind is the second part of the result's key. #}
    select
        'messages',
        {{ row_key_of(['message_id']) }}
    from {{ source('landing', 'message_results') }}
    where business_day in (select business_day from changed_days where table_name = 'message_results')
    union
    select
        'messages',
        {{ row_key_of(['message_id']) }}
    from staging.stg_messaging__message_results
    where business_day in (select business_day from changed_days where table_name = 'message_results')
)

select * from told
{%- else -%}
    -- A run that takes everything again has nothing to tell apart.
    {%- for table in landed_tables() %}{% do source('landing', table) %}{% endfor %}
    -- depends_on: {{ source('landing', 'batches') }}
    -- depends_on: {{ source('landing', 'watermarks') }}
    select
        cast(null as varchar) as table_name,
        cast(null as varchar) as row_key
    where false
{%- endif %}
