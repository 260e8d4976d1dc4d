{#-
    A condition: the day lies in the range to build. The range comes from the environment, because a changed --vars
    makes dbt parse the whole project again and a changed environment variable does not.

    SLUICE_DBT_MIN_DATE, SLUICE_DBT_MAX_DATE: first and last day (YYYY-MM-DD, both included); every day by default.
-#}
{% macro days_to_build(column) -%}
    {{ column }} between {{ _day('SLUICE_DBT_MIN_DATE', '0001-01-01') }} and {{ _day('SLUICE_DBT_MAX_DATE', '9999-12-31') }}
{%- endmacro %}

{% macro _day(variable, default) -%}
    {%- set day = env_var(variable, '') or default -%}
    {%- if not modules.re.match('^\d{4}-\d{2}-\d{2}$', day) -%}
        {{ exceptions.raise_compiler_error(variable ~ " is '" ~ day ~ "'; it must be a day, YYYY-MM-DD.") }}
    {%- endif -%}
    date '{{ day }}'
{%- endmacro %}
