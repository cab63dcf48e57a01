"""The report: grouped by paper, with captions, and its pages open in a browser."""

import re


def test_the_report_of_a_table(project, browse):
    done = project.snakemake("--report", "report.html")
    assert done.returncode == 0, done.stdout + done.stderr
    report = project.folder / "report.html"
    # As a reader would: into the heading of the paper.
    click = '[...document.querySelectorAll("span, a, li")].filter((one) => one.textContent.trim() === "CH-SIMS").at(-1).click()'
    with report.open("a", encoding="utf-8") as file:
        file.write(f"<script>setTimeout(() => {click}, 800);</script>")
    (project.folder / "index.html").write_bytes(report.read_bytes())
    shown = re.sub(r"<script.*?</script>", "", browse(project.folder, "", "--dump-dom"), flags=re.DOTALL)
    assert "What the numbers may not be used for" in shown
    assert "Multimodal sentiment analysis (table). CH-SIMS (Yu et al., ACL 2020), Table 2" in shown
    assert "mean and sample standard deviation over the seeds 1" in report.read_text(encoding="utf-8")
