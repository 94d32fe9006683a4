{#-
    Per business number that was judged in the last finished run, whether all windows and guards of
    its legs were over then, with a margin of two of the longest windows and eight days. A settled
    case changes only where something touches it.
-#}
{% macro settled_cases() -%}
    select
        legs.case_no,
        max({{ add_seconds('legs.settles_at', 'contracts.margin_seconds') }} > built.as_of)
            is not distinct from false as is_settled
    from intermediate.int_legs__classified as legs
    cross join state.built
    cross join (
        select 2 * max(window_seconds) + 8 * 86400 as margin_seconds from landing.loop_legs
    ) as contracts
    group by legs.case_no
{%- endmacro %}
