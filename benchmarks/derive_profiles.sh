#!/usr/bin/env bash
# Derives the profiles that ship (rag/profiles) from the documents of DATA, which are not
# part of the repository. Run it in the repository's root; an hour or two on two cores. Profiles and
# reports are written to build/tuned; what is kept of them is copied by hand.
set -euo pipefail
DATA=${DATA:-../shared/data}
RAG=${RAG:-.venv/bin/rag}
OUT=build/tuned
MADE=build/synth
mkdir -p "$OUT" "$MADE" build/general/corpora build/filings/corpora/filings

tune() { # NAME ARGUMENTS...: tune the hand-written part of a profile, as it is in the package
  $RAG eval tune --profile "$1" "${@:2}" --out "$OUT/$1.toml" --report "$OUT/$1.html"
}

# general: prose of several kinds, questions by people; tuned on one half of the documents.
cp -r "$DATA"/chroma/corpora/* "$DATA"/xquad/corpora/* build/general/corpora/
cat "$DATA"/chroma/questions.jsonl "$DATA"/xquad/questions.jsonl > build/general/questions.jsonl
tune general --questions build/general/questions.jsonl \
  --sizes 50,100,200 --trials 30 --sample 100

# biomedical: articles, questions by experts.
tune biomedical --questions "$DATA/covidqa/questions.jsonl" \
  --sizes 50,100,200 --trials 30 --sample 150 --max-tokens 300

# cyber: threat reports. People's questions tie nearly all documents together, so that no half is
# left to tune on: tuned on questions made by rules, reported on people's about other documents.
$RAG synth "$DATA/cyber/corpora" --profile cyber --engine rules --n 120 --out "$MADE/cyber-rules.jsonl"
tune cyber --questions "$MADE/cyber-rules.jsonl" --corpora "$DATA/cyber/corpora" \
  --report-questions "$DATA/cyber/questions.jsonl" \
  --sizes 100,200 --trials 7 --max-tokens 250

# finance: filings, which are public; their questions may be used for evaluation only. Tuned on
# questions made by rules from seven of them, reported on the annotators' about the others. Rules
# ask about prose, so what tables are worth is left as it was given.
for filing in AMAZON_2017_10K AMAZON_2019_10K AMCOR_2023Q2_10Q BESTBUY_2023_10K \
  BESTBUY_2024Q2_10Q NETFLIX_2017_10K FOOTLOCKER_2022_8K_dated-2022-05-20; do
  cp "$DATA/financebench/corpora/financebench/$filing.txt" build/filings/corpora/filings/
done
$RAG synth build/filings/corpora --profile finance --engine rules --n 120 --out "$MADE/filings-rules.jsonl"
tune finance --questions "$MADE/filings-rules.jsonl" --corpora build/filings/corpora \
  --report-questions "$DATA/financebench/questions.jsonl" \
  --report-corpora "$DATA/financebench/corpora" \
  --sizes 100,200 --fix selection.whole_tables --trials 16
