"""Logs of others' layouts: known by their columns, read whole, refused in one line."""

import gzip

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from rookery.ads.predict.features import field_buckets
from rookery.ads.predict.logs import read_choices, read_clicks
from rookery.core.errors import DataError

AVAZU = {
    "id": ["9", "8", "7"],
    "click": ["0", "1", "0"],
    "hour": ["14102101", "14102100", "14102101"],
    "site_id": ["a", "b", ""],
} | {
    name: ["1", "2", "3"]
    for name in (
        "C1 banner_pos site_domain site_category app_id app_domain app_category device_id "
        "device_ip device_model device_type device_conn_type "
        "C14 C15 C16 C17 C18 C19 C20 C21"
    ).split()
}
CRITEO = (
    {"click": ["1", "0", "0"]}
    | {f"I{n}": ["", "2", "1000"] for n in range(1, 14)}
    | {f"C{n}": ["68fd1e64", "", "12"] for n in range(1, 27)}
)
CHOICES = {
    "item_id": ["3", "1"],
    "position": ["1", "2"],
    "click": ["0", "1"],
    "propensity_score": ["0.25", "1"],
}


@pytest.fixture
def file(tmp_path):
    """Write a log, and return its path."""

    def write(columns, name="log.csv"):
        path, table = tmp_path / name, pa.table(columns)
        if name.endswith(".parquet"):
            pq.write_table(table, path)
        else:
            pacsv.write_csv(table, path)
        if name.endswith(".gz"):
            path.write_bytes(gzip.compress(path.read_bytes()))
        return path

    return write


@pytest.mark.parametrize("name", ["log.csv", "log.csv.gz", "log.parquet"])
def test_avazu_is_read_in_order_of_time_with_its_fields_hashed(file, name):
    log = read_clicks(file(AVAZU, name))
    assert (log.layout, log.times.tolist()) == ("avazu", [14102100, 14102101, 14102101])
    assert log.clicked.tolist() == [True, False, False]
    place = list(log.fields).index("site_id")
    expected = field_buckets("site_id", pa.array(["b", "a", None]))
    assert log.buckets[:, place].tolist() == expected.tolist()
    assert log.fields["hour_of_day"].to_pylist() == ["0", "1", "1"]
    assert "id" not in log.fields


def test_a_log_of_one_hour_tells_no_time(file):
    assert read_clicks(file(AVAZU | {"hour": ["14102100"] * 3})).times is None


def test_criteos_counts_are_put_into_levels_and_missing_values_are_a_value(file):
    log = read_clicks(file(CRITEO))
    assert (log.layout, log.times, log.buckets.shape) == ("criteo", None, (3, 39))
    assert log.fields["I1"].to_pylist() == [None, "2", "49"]  # 2 + ⌊ln(1000)²⌋
    assert log.fields["C3"].to_pylist() == ["68fd1e64", None, "12"]
    assert len(set(log.buckets[:, 0])) == 3


def test_choices_are_read(file):
    log = read_choices(file(CHOICES))
    assert (log.items.tolist(), log.positions.tolist()) == ([3, 1], [1, 2])
    assert (log.clicked.tolist(), log.propensities.tolist()) == ([False, True], [0.25, 1.0])


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"click": ["1"], "word": ["x"]}, "no known click log"),
        (AVAZU | {"click": ["0", "2", "0"]}, "click is 2 in row"),
        (AVAZU | {"click": ["0", "", "0"]}, "click is missing or no number in row"),
        (AVAZU | {"hour": ["0", "x", "0"]}, "hour has a value that is no number"),
        (CRITEO | {"I4": ["1", "many", "2"]}, "I4 has a value that is no number"),
        ({name: values[:0] for name, values in CRITEO.items()}, "it has no rows"),
    ],
)
def test_a_click_log_that_cannot_be_read_is_refused_in_one_line(file, columns, message):
    with pytest.raises(DataError, match=message) as refused:
        read_clicks(file({n: pa.array(v, pa.string()) for n, v in columns.items()}))
    assert "\n" not in refused.value.line()


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({n: v for n, v in CHOICES.items() if n != "position"}, "has no column position"),
        (CHOICES | {"propensity_score": ["0.5", "0"]}, "propensity_score is 0 in row 2"),
        (CHOICES | {"propensity_score": ["1.5", "1"]}, "propensity_score is 1.5 in row 1"),
        (CHOICES | {"item_id": ["", "1"]}, "item_id is missing"),
    ],
)
def test_a_log_of_choices_that_cannot_be_read_is_refused_in_one_line(file, columns, message):
    with pytest.raises(DataError, match=message):
        read_choices(file(columns))


def test_a_file_that_is_no_table_or_not_there_is_refused(tmp_path):
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1 or not")
    for path in (broken, tmp_path / "none.csv", tmp_path):
        with pytest.raises(DataError):
            read_clicks(path)


def test_the_real_logs_are_read(shared_data):
    avazu = read_clicks(shared_data / "ads_avazu/avazu_hour0.csv.gz")
    criteo = read_clicks(shared_data / "ads_criteo/criteo_dac_head.csv.gz")
    assert (avazu.layout, avazu.buckets.shape, avazu.times) == ("avazu", (6748, 22), None)
    assert (criteo.layout, criteo.buckets.shape) == ("criteo", (6063, 39))
    choices = read_choices(shared_data / "ads_obd/men_random.parquet")
    assert np.unique(choices.propensities).round(6).tolist() == [round(1 / 34, 6)]
