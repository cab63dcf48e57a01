# REQUIRED INPUTS: the published feature file, if the config has `features_file`; for the export <build>/dataset.h5.
# OUTPUTS: <build>/dataset.h5 of that file; <results>/features.pkl.


if FEATURES_FILE:

    rule import_pickle:
        """Making the data set of a published feature file"""
        input:
            script="pipeline/import_pickle.py",
            modules=["pipeline/sources/names.py", *code_of("pipeline/import_pickle.py")],
        output:
            "<build>/dataset.h5",
        params:
            features=FEATURES_FILE["path"],
            stamps=stamps_of([FEATURES_FILE["path"]]),
            corpus=config["corpus"],
            label_range=config["label_range"],
            tasks=FEATURES_FILE["tasks"],
            encoder=ENCODER,
        log:
            "<logs>/import_pickle.log",
        threads: 1
        resources:
            **NEEDS["import_pickle"],
        shell:
            "python -m pipeline.import_pickle --features {params.features:q} --corpus {params.corpus:q}"
            " --label-range {params.label_range} --tasks {params.tasks} --encoder {params.encoder:q} --output {output:q} > {log:q} 2>&1"


rule export_pickle:
    """Giving the data set as a feature file that MMSA reads"""
    input:
        script="pipeline/export_pickle.py",
        modules=["pipeline/import_pickle.py", *code_of("pipeline/export_pickle.py")],  # it knows the keys
        dataset="<build>/dataset.h5",
    output:
        "<results>/features.pkl",
    log:
        "<logs>/export_pickle.log",
    threads: 1
    resources:
        **NEEDS["export_pickle"],
    shell:
        "python -m pipeline.export_pickle --dataset {input.dataset:q} --output {output:q} > {log:q} 2>&1"
