import pytest

from homefeed.cli.cron import check_cron


@pytest.mark.parametrize(
    "expression",
    ["0 0 3 * * *", "30 */5 1-5,7 ? JAN,mar mon-Fri", "0 0 9 ? * 2-6", "0 0 */2 1-31/3 12 sat"],
)
def test_what_kfp_reads_is_taken(expression: str) -> None:
    check_cron(expression)


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("0 3 * * *", "'0 3 * * *' has 5 fields, KFP wants 6: second, minute, hour, "),
        ("@daily", "'@daily' has 1 fields, KFP wants 6"),
        ("0 0 24 * * *", "'24' is no hour; that is *, 0..23, a range"),
        ("0 0 3 0 * *", "'0' is no day of the month; that is *, 1..31"),
        ("0 0 3 * * funday", "'funday' is no day of the week; that is *, 0..6 or sun..sat"),
        ("0 0 5-3 * * *", "'5-3' is no hour"),
        ("0 */0 3 * * *", "'*/0' is no minute"),
        ("0 0 3 * jan,, *", "'jan,,' is no month"),
    ],
)
def test_what_kfp_does_not_read_is_named_with_its_field(expression: str, said: str) -> None:
    with pytest.raises(ValueError) as error:
        check_cron(expression)
    assert said in str(error.value)
    assert "'0 0 3 * * *' is every day at 3:00" in str(error.value)
