"""Jobs with topics for a real Flink, by the hundred: what `make conformance-sql-live` asks beside the templates.

    types x values x options  ->  one JSON object a line: {"topic": file} and, behind it, its cases (without answers)

Usage: python3 topics [FILE...]    only the cases of these files
"""
import json
import sys

import csv_cases
import debezium_cases
import json_cases
import key_cases
import raw_cases
import upsert_cases
from cases import FILES


def main(names):
    for part in [json_cases, csv_cases, raw_cases, debezium_cases, key_cases, upsert_cases]:
        part.make()
    for kind, cases in FILES.items():
        if not names or kind in names:
            print(json.dumps({"topic": kind}))
            for case in cases:
                print(json.dumps(case, ensure_ascii=False))


main(sys.argv[1:])
