import pytest
from start import check_limits, cpus, settings


def test_defaults_and_empty_values(tmp_path):
    found = settings({"PORT": "", "WEB_THREADS": "3"}, tmp_path)
    assert found["PORT"] == "8000"
    assert found["WEB_THREADS"] == "3"
    assert int(found["WEB_CONCURRENCY"]) >= 2


@pytest.mark.parametrize("both", [True, False])
def test_listens_on_ipv6_too_where_the_kernel_has_it(tmp_path, monkeypatch, both):
    monkeypatch.setattr("socket.has_dualstack_ipv6", lambda: both)
    assert (settings({}, tmp_path)["LISTEN_ADDRESS"] == "[::]") is both


@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5"])
def test_numbers_must_be_numbers(tmp_path, value):
    with pytest.raises(SystemExit, match="PORT must be a whole number"):
        settings({"PORT": value}, tmp_path)


def test_the_log_level_must_be_one(tmp_path):
    with pytest.raises(SystemExit, match="LOG_LEVEL must be one of debug, info"):
        settings({"LOG_LEVEL": "loud"}, tmp_path)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu/cpu.cfs_quota_us": "150000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 2),
        # Without a quota, or with one for more than there are, it is what the machine has.
        ({}, 7),
        ({"cpu.max": "max 100000\n"}, 7),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 7),
        ({"cpu.max": "9900000 100000\n"}, 7),
    ],
)
def test_a_cpu_quota_is_rounded_up(tmp_path, monkeypatch, files, expected):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(7)), raising=False)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert cpus(tmp_path) == expected


def test_limits_that_fit(tmp_path):
    check_limits(settings({}, tmp_path), 20_971_520, tmp_path)
    (tmp_path / "pids.max").write_text("max\n")
    check_limits(settings({"WEB_THREADS": "5000"}, tmp_path), 20_971_520, tmp_path)


@pytest.mark.parametrize(
    ("environ", "line"),
    [
        ({"WEB_CONCURRENCY": "2", "WEB_THREADS": "225"}, "is 450.*limit of 512 .*APP_PIDS"),
        ({"MAX_CONTENT_LENGTH": "10485761"}, "10485761 bytes, may need twice.*APP_TMP_SIZE"),
    ],
)
def test_limits_that_do_not_fit(tmp_path, environ, line):
    (tmp_path / "pids.max").write_text("512\n")
    with pytest.raises(SystemExit, match=line):
        check_limits(settings({"WEB_CONCURRENCY": "1"} | environ, tmp_path), 20_971_520, tmp_path)
