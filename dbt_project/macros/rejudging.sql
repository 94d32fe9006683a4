{#-
    Whether this run judges again only the cases that something new touches. It does where the run
    before it finished, by the same models, contracts and actors, and no source has lost ground
    since. Decided once, at the start of the run.
-#}
{% macro is_rejudging() -%}
    {%- if not execute -%}
        {{ return(false) }}
    {%- endif -%}
    {%- set found = run_query(
        "select count(*) from duckdb_tables() where schema_name = 'state' and table_name = 'run'"
    ) -%}
    {%- if found.rows[0][0] == 0 -%}
        {{ return(false) }}
    {%- endif -%}
    {{ return(run_query("select is_rejudging from state.run").rows[0][0]) }}
{%- endmacro %}


{#- The filter that leaves a run only the rows of the cases that it judges. -#}
{% macro in_question(column, numbers='int_dirty_numbers') -%}
    {%- set numbers = ref(numbers) -%}
    {#- A unit test judges all of its few rows; it has no `this` to be incremental to. -#}
    {%- if this and is_incremental() and is_rejudging() -%}
        {{ column }} in (select number from {{ numbers }})
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}


{#- The business number of a case, where only `case_id` and `loop` stand. -#}
{% macro case_no_of_case() -%}
    substr(case_id, length(loop) + 2)
{%- endmacro %}


{#- A model of judged cases is built whole wherever the run does not only judge again. -#}
{% macro should_full_refresh() -%}
    {%- set asked = config.get('full_refresh') -%}
    {%- if asked is none -%}
        {%- set asked = flags.FULL_REFRESH -%}
    {%- endif -%}
    {%- if config.get('incremental_strategy') in ('rejudged', 'restamped', 'retaken') and not is_rejudging() -%}
        {%- set asked = true -%}
    {%- endif -%}
    {{ return(asked) }}
{%- endmacro %}


{#-
    The incremental strategy of judged cases: what was judged again is replaced whole, rows that
    are no more included. What it was judged of stands in `incremental_predicates`, which says the
    same of the old rows as `in_question` of the new.
-#}
{% macro get_incremental_rejudged_sql(arg_dict) -%}
    {{ replace_rows(arg_dict, arg_dict['incremental_predicates'] | join(' and ')) }}
{%- endmacro %}


{#- The same where every row also says as of when it is told. -#}
{% macro get_incremental_restamped_sql(arg_dict) -%}
    {{ get_incremental_rejudged_sql(arg_dict) }};

    update {{ arg_dict['target_relation'] }}
    set as_of = (select as_of from intermediate.int_run__as_of)
{%- endmacro %}


{#- The same of staged rows: those of touched keys are replaced. -#}
{% macro get_incremental_retaken_sql(arg_dict) -%}
    {%- for table, about in landed_tables().items() -%}
        {%- if about['staged'] == arg_dict['target_relation'].identifier -%}
            {{ replace_rows(arg_dict, is_touched(table)) }}
        {%- endif -%}
    {%- endfor -%}
{%- endmacro %}


{#- Whether a row of a landed table, landed or staged, is to be taken again. -#}
{% macro is_touched(table) -%}
    {{ row_key_of(landed_tables()[table]['key']) }} in (
        select row_key from staging.stg_landing__touched_keys where table_name = '{{ table }}'
    )
{%- endmacro %}


{% macro replace_rows(arg_dict, predicate) -%}
    {%- set columns = arg_dict['dest_columns'] | map(attribute='quoted') | join(', ') -%}
    delete from {{ arg_dict['target_relation'] }}
    where {{ predicate }};

    insert into {{ arg_dict['target_relation'] }} ({{ columns }})
    select {{ columns }} from {{ arg_dict['temp_relation'] }}
{%- endmacro %}
