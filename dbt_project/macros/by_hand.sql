{#-
    What the score of made-by-hand rests on: the weight of each sign and every threshold.

    Set on 2026-11-25 by reasoning and on the simulated companies of seeds 101 to 105. A weight says
    how sure the sign alone makes us. No sign reaches 0.8 alone; these two do together: unusual lag
    with a key left out or a burst, a burst with the closed office, a key left out or a mistyped
    field, and a key left out with the closed office. Unusual lag with the closed office does not:
    an interface that hangs overnight and goes on at nine looks the same. A mistyped field weighs
    least: who orders for somebody else gives another phone, and lawfully.
-#}
{% macro by_hand(name) -%}
    {%- set values = {
        'weight_key_absent': 0.7,
        'weight_lag_unusual': 0.5,
        'weight_office_closed': 0.4,
        'weight_burst': 0.75,
        'weight_field_mistyped': 0.4,
        'human_score': 0.8,
    } -%}
    {#- Office hours in Shanghai, every day: shops trade at weekends, and so do their clerks. -#}
    {%- do values.update({'office_opens': 9, 'office_closes': 18}) -%}
    {#-
        The usual range is learned over four weeks, which hold every weekday four times; a table's
        first days share its first week. Thirty records show a quartile to within a sixth.
    -#}
    {%- do values.update({'period_days': 28, 'first_days': 7, 'least_records': 30}) -%}
    {#-
        The fast mode ends where the next octave of lags holds at most a tenth of all before it. It
        is looked for from the lower quartile on, so three records in four may be slow ones. Lags
        are counted in eighths of an octave (9 %). Below five minutes no lag is unusual: a queue.
    -#}
    {%- do values.update({
        'steps_per_octave': 8, 'fast_share': 0.25, 'sparse_share': 0.1, 'least_usual_seconds': 300,
    }) -%}
    {#- A key is missed only where at least half of the line's records carry it. -#}
    {%- do values.update({'least_key_share': 0.5}) -%}
    {#-
        A burst: five records in ten minutes (the letter), or three of them for 0.8 of the sign,
        which with unusual lag is just enough. Of a record's neighbours in the list's order, and of
        all in its session, at least three in four follow it, and the session's causes spread at
        least half as wide again as its records: an interface that runs behind spreads both alike.
        Only records later than usual and than half an hour, the default service level of booking,
        take part: what is younger is a queue.
    -#}
    {%- do values.update({
        'burst_records': 5, 'small_burst_records': 3, 'small_burst_grade': 0.8,
        'burst_seconds': 600, 'order_share': 0.75, 'spread_factor': 1.5, 'burst_lag_seconds': 1800,
    }) -%}
    {#-
        Nobody types a record in less than ten seconds. A faster burst is a sheet where the
        interface was up meanwhile, else a backlog: between its first and its last in the list the
        interface made others of the same line in its usual time, two and one for every four, or it
        made any after half of the burst was overdue, ten minutes and more before the burst.
    -#}
    {%- do values.update({
        'least_typing_seconds': 10, 'least_overtaking': 2, 'overtaking_share': 0.25,
        'passed_over_share': 0.5,
    }) -%}
    {{- return(values[name]) -}}
{%- endmacro %}
