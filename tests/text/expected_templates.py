"""Small templates that together use what chat templates use, each with transformers' own result to compare with."""

CONTEXT = {
    "text": "  Hello, 世界! it's \"q\" <b>\n", "empty": "", "number": 3, "big": 12345678901234567, "real": 2.5, "whole": 4.0, "tiny": 1e-7, "huge": 1e22,
    "yes": True, "no": False, "nothing": None, "list": [3, "a", 2.0, None, True, [1], {"k": "v"}], "numbers": [5, 3, 9, 1],
    "table": {"z": 1, "a": {"x": [1, 2]}, "é": "ü\u2028\t\x01", "m": None, "f": 1.0, "t": True}, "words": ["b", "a", "C"],
    "people": [{"name": "Bo", "age": 7, "tag": "x"}, {"name": "Al", "age": 3, "tag": "y"}, {"name": "Cy", "age": 7, "tag": "x"}],
    "lines": "one\ntwo\r\nthree\n\nfour", "date_string": "26 Jul 2024",
}

TEMPLATES = """
plain text
{{ text }}|{{ empty }}|{{ number }}|{{ big }}|{{ real }}|{{ whole }}|{{ tiny }}|{{ huge }}|{{ yes }}|{{ no }}|{{ nothing }}
{{ list }} {{ table }} {{ missing }}
{{ [yes, 'it\\'s', "q\\"q'", 'a\\nb', 1.5] }}
{{ text | trim }}|{{ text.strip() }}|{{ text.lstrip() }}|{{ text.rstrip('\\n') }}|{{ 'xxaxx'.strip('x') }}|{{ '--a-b' | trim('-') }}
{{ table | tojson }}
{{ list | tojson }}{{ text | tojson }}{{ nothing | tojson }}{{ real | tojson }}{{ whole | tojson }}{{ tiny | tojson }}{{ huge | tojson }}{{ big | tojson }}
{{ table | tojson(indent=4) }}
{{ table | tojson(indent=2) }}{{ [] | tojson(indent=2) }}{{ {} | tojson(indent=2) }}{{ [[]] | tojson(indent=1) }}
{{ table | tojson(ensure_ascii=True) }}{{ table | tojson(sort_keys=True) }}{{ table | tojson(separators=(',', ':')) }}
{{ table | tojson(true, 1) }}
{{ '<>&\\'"/' | tojson }}
{{ missing | tojson }}
{% for x in list %}{{ loop.index }}{{ loop.index0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.revindex }}:{{ x }};{% endfor %}
{% for x in numbers %}{% if x == 3 %}{% continue %}{% endif %}{% if x == 1 %}{% break %}{% endif %}{{ x }}{% endfor %}
{% for x in missing %}never{% else %}none{% endfor %}
{% for x in numbers if x > 3 %}{{ x }},{% endfor %}
{% for x in numbers %}{{ loop.previtem }}<{{ x }}<{{ loop.nextitem }} {% endfor %}
{% for k, v in table.items() %}{{ k }}={{ v }};{% endfor %}
{% for k, v in table | items %}{{ k }}={{ v }};{% endfor %}
{% for k in table %}{{ k }};{% endfor %}{{ table.keys() | list }}{{ table.values() | list }}
{% for k, v in table | dictsort %}{{ k }};{% endfor %}
{% for c in 'abc' %}{{ c }}.{% endfor %}
{{ table.a.x[1] }}{{ table['a']['x'][0] }}{{ table.get('q') }}{{ table.get('q', 5) }}{{ table.get('z') }}
{{ numbers[0] }}{{ numbers[-1] }}{{ numbers[1:] }}{{ numbers[:-1] }}{{ numbers[::-1] }}{{ numbers[1:3] }}{{ text[2:7] }}{{ text[-3:] }}{{ text[0] }}|
{{ 'a' in 'abc' }}{{ 3 in numbers }}{{ 'z' in table }}{{ 'q' not in table }}{{ 4 in missing }}
{% set ns = namespace(a=1, found=false) %}{% for x in numbers %}{% set ns.a = ns.a + x %}{% if x == 9 %}{% set ns.found = true %}{% endif %}{% endfor %}{{ ns.a }}{{ ns.found }}
{% set x = 1 %}{% for i in numbers %}{% set x = 2 %}{% endfor %}{{ x }}
{% if true %}{% set y = 5 %}{% endif %}{{ y }}
{% macro f(a, b='d') -%} {{ a }}-{{ b }} {%- endmacro %}{{ f(1) }}{{ f(1, 2) }}{{ f(b=3, a=yes) }}
{% macro wrap(x) %}[{{ caller() }}{{ x }}]{% endmacro %}{% call wrap(2) %}inner{% endcall %}
{% set block %}  a{{ number }}  {% endset %}[{{ block }}]{{ block | trim }}
{% filter upper %}abc{{ text }}{% endfilter %}
{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}
{% raw %}{{ not }} {% if %}{% endraw %}{# comment {{ x }} #}
{% generation %}{{ text }}{% endgeneration %}
{%- generation -%}   x   {%- endgeneration -%}   y
{% set v = 1 %}{% generation %}{% set v = 2 %}{{ v }}{% endgeneration %}{{ v }}
{# {% generation %} #}{{ '{% generation %}' }}{% if text == '%}{% generation %}' %}{% endif %}{% raw %}{% generation %}{% endraw %}{% set generation = 1 %}{ {{ generation }}
{{ "a\\"{% generation %}" }}{{ 'it\\'s {% endgeneration %}' }}{%+ generation +%}  x{%- endgeneration +%}  y
{% generation %}no end
{% endgeneration %}
{% generation x %}{% endgeneration %}
{% for m in people %}{% if m.age == 7 %}{% generation %}{{ m.name }}{% endgeneration %}{% endif %}{% endfor %}
{{ 7 / 2 }}|{{ 6 / 2 }}|{{ 7 // 2 }}|{{ -7 // 2 }}|{{ 7 % 3 }}|{{ 2 ** 3 }}|{{ 2 ** 0.5 }}|{{ 1 + 1.0 }}|{{ -number }}|{{ 10 - 2 * 3 }}
{{ 'a' ~ 1 ~ 'b' ~ 2.5 }}{{ 'x' * 3 }}{{ [1] + [2] }}{{ 'a' + 'b' }}
{{ 1 < 2 < 3 }}{{ 1 == 1.0 }}{{ 'a' < 'b' }}{{ yes and no }}{{ no or 'd' }}{{ not no }}{{ nothing == none }}
{{ 'x' if yes }}|{{ 'x' if no }}|{{ 'x' if no else 'y' }}
{{ missing is defined }}{{ nothing is none }}{{ text is string }}{{ list is sequence }}{{ table is mapping }}{{ table is sequence }}{{ text is sequence }}{{ text is iterable }}{{ table is iterable }}{{ number is iterable }}
{{ number is number }}{{ yes is number }}{{ yes is boolean }}{{ yes is true }}{{ number is integer }}{{ real is float }}{{ yes is integer }}{{ 3 is odd }}{{ 4 is even }}{{ 9 is divisibleby 3 }}{{ number is sameas 3 }}{{ missing is undefined }}{{ 'a' is in 'abc' }}{{ 2 is eq 2 }}
{{ missing.attr }}
{{ nothing.attr }}|{{ nothing.attr is defined }}
{{ table.q.r }}
{{ table.q is defined and table.q.r }}
{{ missing | default('d') }}{{ empty | default('d', true) }}{{ nothing | default('d') }}{{ missing | d('e') }}
{{ missing | length }}{{ list | length }}{{ text | length }}{{ table | length }}{{ numbers | count }}
{{ words | join(', ') }}{{ list | join('/') }}{{ people | join('-', attribute='name') }}{{ ', '.join(words) }}
{{ numbers | first }}{{ numbers | last }}{{ numbers | sort }}{{ numbers | sort(reverse=true) }}{{ numbers | max }}{{ numbers | min }}{{ numbers | sum }}{{ words | sort }}
{{ people | map(attribute='name') | list }}{{ words | map('upper') | list }}{{ people | selectattr('age', 'equalto', 7) | map(attribute='name') | join }}
{{ people | rejectattr('tag', 'eq', 'x') | list | length }}{{ numbers | select('odd') | list }}{{ numbers | reject('>', 3) | list }}{{ people | selectattr('tag') | list | length }}
{% for tag, group in people | groupby('tag') %}{{ tag }}:{{ group | map(attribute='name') | join(',') }};{% endfor %}
{{ numbers | reverse | list }}{{ [1, 1, 2] | unique | list }}{{ range(3) | list }}{{ range(1, 7, 2) | list }}{{ numbers | batch(2) | list }}{{ numbers | slice(2) | list }}
{{ text | upper }}{{ text | lower }}{{ 'ab cd' | title }}{{ 'aBC' | capitalize }}{{ 'a-b' | replace('-', '+') }}{{ 'a\\nb' | indent(2) }}{{ 'a\\nb' | indent(2, true) }}
{{ '5' | int }}{{ 'x' | int }}{{ 'x' | int(7) }}{{ '2.5' | float }}{{ 2.567 | round(2) }}{{ 3 | string }}{{ yes | string }}{{ -3 | abs }}
{{ text.upper() }}{{ text.lower() }}{{ 'ab cd'.title() }}{{ 'aBC'.capitalize() }}{{ 'a-b-c'.replace('-', '+') }}{{ 'a-b-c'.replace('-', '+', 1) }}
{{ text.startswith('  H') }}{{ text.endswith('\\n') }}{{ text.startswith(('x', '  ')) }}{{ 'abc'.find('c') }}{{ text.find('世') }}{{ text.find('q!') }}{{ text.rfind('l') }}{{ 'aXbX'.index('X') }}{{ 'aXbX'.count('X') }}
{{ 'a,b,c'.split(',') }}{{ 'a b  c '.split() }}{{ 'a,b,c'.split(',', 1) }}{{ 'a,b,c'.rsplit(',', 1) }}{{ ' a b  c'.rsplit(none, 1) }}{{ 'a b c '.split(none, 1) }}{{ 'x</think>y'.split('</think>')[-1] }}
{{ lines.splitlines() }}{{ lines.splitlines(true) }}{{ 'a:b:c'.partition(':') | list }}{{ 'a:b:c'.rpartition(':') | list }}{{ 'abc'.partition('-') | list }}
{{ 'prefix-x'.removeprefix('prefix-') }}{{ 'x.py'.removesuffix('.py') }}{{ 'abc'.isalpha() }}{{ '12'.isdigit() }}{{ ''.isdigit() }}{{ 'a1'.isalnum() }}{{ ' '.isspace() }}{{ 'Ab'.islower() }}{{ 'AB'.isupper() }}{{ '7'.zfill(3) }}
{{ '%s is %d' | format('x', 3) }}{{ '{} and {}'.format(1, 'b') }}{{ '{a}-{b}'.format(a=1, b=2) }}
{{ numbers.index(9) }}{{ numbers.count(3) }}{{ words.copy() }}{{ table.copy() | length }}
{{ numbers.append(1) }}
{{ table.update({'a': 1}) }}
{{ dict(a=1, b='x') }}{{ {'a': 1, 'b': [2]} }}{{ (1, 'a')[1] }}{{ [1, 2,] }}
{{ raise_exception('bad ' ~ number) }}
{{ unknown_function() }}
{{ text | unknown_filter }}
{{ 'abc'.nope() }}
{% set a, b = 1, 2 %}{{ a }}{{ b }}
{% set d = {'k': none} %}{{ d.k is none }}{{ d.k }}
{% if number > 2 and number < 5 %}in{% elif number == 9 %}nine{% else %}out{% endif %}
{{ "tab\\there" }}{{ 'uni\\u00e9' }}{{ 'back\\\\slash' }}
{{ date_string if date_string is defined else strftime_now('%d %b %Y') }}{{ strftime_now('x') }}
{{ cycler('a', 'b').next() }}{% set j = joiner('|') %}{{ j() }}x{{ j() }}y
{{ text | escape }}{{ '<' | e }}{{ '<' | safe }}
{{ documents is none }}{{ tools is none }}{{ messages | length }}{{ add_generation_prompt }}
{{- ' a ' -}} x {{ 'b' }}
{{ 1.0 }} {{ 100000000000000000.0 }} {{ 0.0001 }} {{ 0.00001 }} {{ 1e16 }} {{ 123456789012345.6 }} {{ -0.0 }}
{{ [1.0, 'a', {'b': none}] | string }}{{ (1, 2) | list }}{{ list | tojson | length }}
{{ text | list | length }}{{ table | list }}
{{ people | map(attribute='age') | sum }}{{ people | sort(attribute='name') | map(attribute='name') | join }}
{{ [''  , 'é\u200b\u0301', "\U0010ffff\ue000"] }}{{ ' 7 ' | int }}{{ '7.9' | int }}{{ true | int }}{{ none | int }}{{ 'x' | float }}
""".strip("\n").split("\n")

# Those with line ends and indentation inside.
TEMPLATES += [
    "{% if yes %}\n  a\n{% endif %}\nb\n",
    "    {% if yes %}\n    x\n    {%- else %}\n    y\n    {%- endif %}\n\n\n",
    "a {%- if yes %} b {%- endif %} c\n\n",
    "{%+ if yes %}  a{%+ endif %}\n  b",
    "  {{ number }}\n  {# c #}\n  x",
    "a\r\nb{% if yes %}\r\nc{% endif %}\rd\r\n",
    "{%- for x in numbers %}\n    {{- x }}\n{%- endfor %}\n",
    "{% for x in numbers -%}\n    {{ x }}\n{% endfor -%}\n tail",
    "line\n  {% generation %}\n  x\n  {% endgeneration %}\nend",
    "{{ 'a\nb' }}",
    "\n\n{% set x = 1 %}\n\n{{ x }}\n",
    "{% macro tool(t) %}\n  {%- for k, v in t.items() -%}\n    {{ k }}: {{ v | tojson }}\n  {% endfor %}\n{% endmacro %}{{ tool(table) }}",
    "{% if x",
    "{{ x",
    "{% endif %}",
    "{% unknown %}",
    "a\nb\n{{ 1 +* 2 }}",
]
