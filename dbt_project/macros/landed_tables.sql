{#-
    The landed tables whose rows are kept from run to run: the staging model of each, the key of a
    row, and the columns whose numbers tie rows to one another, to a case or to a session.
-#}
{% macro landed_tables() -%}
    {{ return({
        'tracking_events': {
            'staged': 'stg_tracking__events', 'key': ['event_id'],
            'numbers': ['case_no', 'session_id', 'unionid', 'openid', 'member_no']
        },
        'messages': {
            'staged': 'stg_messaging__messages', 'key': ['message_id'], 'numbers': ['case_no']
        },
        'message_results': {
            'staged': 'stg_messaging__message_results', 'key': ['message_id', 'kind'],
            'numbers': []
        },
        'pay_bill': {
            'staged': 'stg_wechat__pay_bill', 'key': ['row_kind', 'transaction_id', 'refund_id'],
            'numbers': ['order_no', 'transaction_id', 'refund_id', 'refund_no']
        },
        'mp_orders': {
            'staged': 'stg_wechat__mp_orders', 'key': ['transaction_id'],
            'numbers': ['order_no', 'transaction_id']
        },
        'erp_orders': {
            'staged': 'stg_erp__orders', 'key': ['erp_order_no'],
            'numbers': ['erp_order_no', 'order_no', 'transaction_id']
        },
        'erp_receipts': {
            'staged': 'stg_erp__receipts', 'key': ['receipt_no', 'erp_order_no', 'order_no'],
            'numbers': ['receipt_no', 'erp_order_no', 'order_no', 'transaction_id']
        },
        'erp_shipments': {
            'staged': 'stg_erp__shipments', 'key': ['shipment_no'], 'numbers': ['erp_order_no']
        },
        'erp_refunds': {
            'staged': 'stg_erp__refunds', 'key': ['refund_doc_no'],
            'numbers': ['erp_order_no', 'order_no', 'refund_no', 'refund_id']
        },
        'crm_appointments': {
            'staged': 'stg_crm__appointments', 'key': ['appointment_no'],
            'numbers': ['booking_no']
        },
        'crm_cases': {
            'staged': 'stg_crm__cases', 'key': ['crm_case_no'], 'numbers': ['ticket_no']
        },
        'crm_contacts': {
            'staged': 'stg_crm__contacts', 'key': ['contact_id'], 'numbers': []
        },
        'identities': {
            'staged': 'stg_crm__identities',
            'key': ['left_kind', 'left_value', 'right_kind', 'right_value'],
            'numbers': []
        },
    }) }}
{%- endmacro %}


{#- The key of a landed row as one text; two keys that it confounds are only looked at together. -#}
{% macro row_key_of(columns) -%}
    {%- set parts = [] -%}
    {%- for column in columns -%}
        {%- do parts.append("coalesce(cast(" ~ column ~ " as varchar), '')") -%}
    {%- endfor -%}
    {{ return("concat_ws('/', " ~ parts | join(', ') ~ ")") }}
{%- endmacro %}
