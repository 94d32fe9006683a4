{#- The rates of 'Rates' over the counts of a relation, one definition for days and for lines. -#}
{% macro closure_rates(counts) -%}
        {%- for name, (part, whole) in {
            'closure_rate': ('closed_count', 'mature_claimed_count'),
            'closure_rate_untouched': ('closed_untouched_count', 'mature_claimed_count'),
            'closure_rate_money': ('closed_fen', 'mature_claimed_fen'),
            'closure_rate_untouched_money': ('closed_untouched_fen', 'mature_claimed_fen'),
            'touchless_rate': ('closed_untouched_count', 'closed_count'),
            'information_break_rate': ('broken_hand_offs_count', 'hand_offs_count'),
            'reflow_rate': ('changes_shown_count', 'changes_count'),
            'interruption_rate': ('interrupted_count', 'checkouts_count'),
            'user_cancel_rate': ('user_cancel_count', 'checkouts_count'),
            'technical_rate': ('technical_count', 'checkouts_count'),
            'backend_late_rate': ('backend_late_count', 'checkouts_count'),
            'unknown_rate': ('unknown_count', 'checkouts_count'),
        }.items() %}
        {{ rate(counts ~ '.' ~ part, counts ~ '.' ~ whole) }} as {{ name }}
        {%- if not loop.last %},{% endif %}
        {%- endfor %}
{%- endmacro %}
