#!/usr/bin/env bash
# Derives the profiles that ship (rag/settings/profiles) from the documents of DATA, which are not
# part of the repository. Run it in the repository's root; an hour or two on two cores. Profiles and
# reports are written to build/profiles; what is kept of them is copied by hand.
set -euo pipefail
DATA=${DATA:-../shared/data}
RAG=${RAG:-.venv/bin/rag}
OUT=build/profiles
mkdir -p "$OUT" build/general/corpora build/filings/corpora/filings

# general: prose of several kinds, questions by people; tuned on one half of the documents.
cp -r "$DATA"/chroma/corpora/* "$DATA"/xquad/corpora/* build/general/corpora/
cat "$DATA"/chroma/questions.jsonl "$DATA"/xquad/questions.jsonl > build/general/questions.jsonl
$RAG eval tune --profile general --questions build/general/questions.jsonl \
  --sizes 50,100,200 --trials 30 --sample 100 \
  --out "$OUT/general.toml" --report "$OUT/general.html"

# biomedical: articles, questions by experts.
$RAG eval tune --profile biomedical --questions "$DATA/covidqa/questions.jsonl" \
  --sizes 50,100,200 --trials 30 --sample 100 \
  --out "$OUT/biomedical.toml" --report "$OUT/biomedical.html"

# cyber: threat reports. People's questions tie nearly all documents together, so that no half is
# left to tune on: tuned on questions made by rules, reported on people's about other documents.
$RAG synth "$DATA/cyber/corpora" --profile cyber --engine rules --n 120 --out "$OUT/cyber.jsonl"
$RAG eval tune --profile cyber --questions "$OUT/cyber.jsonl" --corpora "$DATA/cyber/corpora" \
  --report-questions "$DATA/cyber/questions.jsonl" \
  --sizes 50,100,200 --trials 30 \
  --out "$OUT/cyber.toml" --report "$OUT/cyber.html"

# finance: filings, which are public; their questions may be used for evaluation only. Tuned on
# questions made by rules from seven of them, reported on the annotators' about the others.
for filing in AMAZON_2017_10K AMAZON_2019_10K AMCOR_2023Q2_10Q BESTBUY_2023_10K \
  BESTBUY_2024Q2_10Q NETFLIX_2017_10K FOOTLOCKER_2022_8K_dated-2022-05-20; do
  cp "$DATA/financebench/corpora/financebench/$filing.txt" build/filings/corpora/filings/
done
$RAG synth build/filings/corpora --profile finance --engine rules --n 120 --out "$OUT/finance.jsonl"
$RAG eval tune --profile finance --questions "$OUT/finance.jsonl" --corpora build/filings/corpora \
  --report-questions "$DATA/financebench/questions.jsonl" \
  --report-corpora "$DATA/financebench/corpora" \
  --sizes 100,200 --trials 24 \
  --out "$OUT/finance.toml" --report "$OUT/finance.html"
