{#-
    What the last run worked on, in schema `state`, and whether it finished: every model built and
    no test failed. After one that did not, everything is judged anew.
-#}
{% macro begin_run() -%}
    {%- if execute and flags.WHICH in ('build', 'run') -%}
        create schema if not exists state;
        create table if not exists state.built (
            rules_digest varchar, as_of timestamp with time zone
        );
        -- A warehouse of an earlier version has no such column yet.
        alter table state.built add column if not exists settled_share double;
        create table if not exists state.batches (
            table_name varchar, business_day date, batch_id varchar
        );
        create table if not exists state.watermarks (
            table_name varchar,
            is_connected boolean,
            complete_from timestamp with time zone,
            complete_until timestamp with time zone
        );
        create table if not exists state.run (is_rejudging boolean, is_finished boolean);
        create or replace table state.run as
        select
            coalesce((select bool_and(is_finished) from state.run), false)
            and {{ 'false' if flags.FULL_REFRESH else 'true' }}
            and exists (
                select 1 from state.built
                inner join landing.company on built.rules_digest = company.rules_digest
                -- Of a company younger than its windows hardly any case stands: to judge
                -- nearly all again costs twice what it costs to build them (2026-11).
                where built.settled_share >= 0.5
            )
            and not exists (
                select 1 from state.watermarks as before
                full outer join landing.watermarks as now
                    on before.table_name = now.table_name
                where
                    before.is_connected is distinct from now.is_connected
                    or before.complete_from is distinct from now.complete_from
                    or (before.complete_until is not null and now.complete_until is null)
                    or now.complete_until < before.complete_until
            ) as is_rejudging,
            false as is_finished
    {%- endif -%}
{%- endmacro %}


{% macro end_run(results) -%}
    {#- Dagster says in this way that it wants everything. -#}
    {%- set selected = invocation_args_dict.get('select') or ['fqn:*'] -%}
    {%- set is_whole = selected | list == ['fqn:*'] and not invocation_args_dict.get('exclude') -%}
    {%- if execute and flags.WHICH in ('build', 'run') and is_whole -%}
        {%- set failed = results | map(attribute='status') | map('string') | select(
            'in', ['error', 'fail', 'skipped', 'runtime error', 'partial success']
        ) | list -%}
        {%- if not failed -%}
            begin;
            create or replace table state.batches as
            select table_name, business_day, batch_id from landing.batches;
            create or replace table state.watermarks as
            select table_name, is_connected, complete_from, complete_until
            from landing.watermarks;
            create or replace table state.built as
            select
                company.rules_digest,
                run.as_of,
                cast(null as double) as settled_share
            from landing.company
            left join intermediate.int_run__as_of as run on true;
            update state.built
            set settled_share = (
                select avg(case when is_settled then 1.0 else 0.0 end)
                from ({{ settled_cases() }}) as cases
            );
            update state.run set is_finished = true;
            commit
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}
