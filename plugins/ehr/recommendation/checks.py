"""Rules that this plugin may break, with the reasons."""

EXEMPTIONS = {
    "metrics": "policy_value needs randomised outcomes and the DDI rates an interaction table to be defined, but "
    "synthetic rows have neither; tests/plugins/ehr/test_recommendation_metrics.py holds each metric to its best value",
}
