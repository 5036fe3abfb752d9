"""Values: the numbers, dates and identifiers that a text states, in a form that can be compared.

What a writer may vary is taken out: `$1.2 million` is `USD 1,200,000`, `12 May 2018` is
`2018-05-12`, `COVID19` is `covid-19`. The text is read by a table of patterns; what one has read is
hidden from the next. Marks of sources (`[S1]`, `[3]`) and the numbers of list items are no values.

Rules: `12,345` has a thousands separator, `12.345` and `1,5` a decimal one. A bare whole number
from 1000 to 2199 is a year and a number. A fiscal year, and its quarters, count as the calendar's.
`12/05/2018` may be in May or in December. `$` is the US dollar. Numbers in words, months and units
are read in English only.
"""

from rag.grounding.values.read import values_of
from rag.grounding.values.value import Amount, Period, Value, same_value, supports

__all__ = ["Amount", "Period", "Value", "same_value", "supports", "values_of"]
